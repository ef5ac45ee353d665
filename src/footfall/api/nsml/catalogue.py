"""``/nsml/v1``: server products, images, image repositories and SSH keys."""

from functools import partial
from typing import Any

from footfall.api.http.errors import NSML_NOT_FOUND
from footfall.api.http.operations import Operation
from footfall.api.nsml.operations import ROOT, created, operation, stamp
from footfall.api.request import Mutation, Request
from footfall.compute import rules
from footfall.compute.catalogue import registries
from footfall.compute.catalogue import ssh_keys as key_rules
from footfall.contract import nsml as shapes
from footfall.contract.queries import RegistryQuery
from footfall.db import images
from footfall.db.access import accounts, ssh_keys
from footfall.db.engine.engine import Connection
from footfall.records import Product


def list_products(request: Request) -> shapes.ProductList:
    """Return the server products."""
    products = request.context.launcher.products.all
    return shapes.ProductList([_product_body(product) for product in products], len(products))


def list_base_images(request: Request) -> shapes.ImageList:
    """Return the base images."""
    with request.context.database.read() as connection:
        n_accounts = accounts.count_accounts(connection)
    return _image_list(request.context.launcher.images.base(n_accounts))


def list_custom_images(request: Request) -> shapes.ImageList:
    """Return the images that the operator imported, and those that the account's repositories say they have."""
    account_id, context = request.caller.account_id, request.context
    with context.database.read() as connection:
        names = [image.name for image in images.list_imported(connection)]
        known = images.list_registries(connection, account_id)
    return _image_list(names + context.catalogs.images_of(account_id, known))


def post_registry(request: Request) -> Mutation:
    """Store the login of an image repository."""
    new: shapes.NewRegistry = request.fields
    account_id, context = request.caller.account_id, request.context
    host = registries.check_host(new.private_ep, context.settings.registry_hosts)
    registry, made_at = registries.seal(context.secrets, account_id, host, new.access_key, new.secret_key)

    def apply(tx: Connection) -> Any:
        images.insert_registry(tx, account_id, registry, made_at)
        return created(_registry_body(registry), f"{ROOT}/images/secret")

    return Mutation(apply, lambda: context.catalogs.forget(account_id, host))


def list_registries(request: Request) -> shapes.RegistryList:
    """Return the image repositories of the account."""
    with request.context.database.read() as connection:
        registered = images.list_registries(connection, request.caller.account_id)
    return shapes.RegistryList([_registry_body(each) for each in registered], len(registered), len(registered))


def remove_registry(request: Request) -> Mutation:
    """Forget the login of an image repository."""
    query = request.read_query(RegistryQuery)
    account_id, context = request.caller.account_id, request.context
    host = registries.check_host(query.private_ep, context.settings.registry_hosts)
    return Mutation(
        lambda tx: _registry_body(images.delete_registry(tx, account_id, host)), lambda: context.catalogs.forget(account_id, host)
    )


def post_key(request: Request) -> Mutation:
    """Store an SSH key."""
    new: shapes.NewSshKey = request.fields
    rules.check_title(new.title)
    key = key_rules.parse(new.key)

    def apply(tx: Connection) -> Any:
        made = ssh_keys.insert_key(
            tx,
            request.caller.account_id,
            title=new.title,
            key=key.line,
            fingerprint=key.fingerprint,
            fingerprint_sha256=key.fingerprint_sha256,
        )
        return created(_key_body(made), f"{ROOT}/auth-keys/title/{made.title}/name/{made.name}")

    return Mutation(apply)


def list_keys(request: Request) -> shapes.SshKeyList:
    """Return the SSH keys of the account."""
    with request.context.database.read() as connection:
        keys = ssh_keys.list_keys(connection, request.caller.account_id)
    return shapes.SshKeyList([_key_body(key) for key in keys], len(keys))


def remove_key(request: Request) -> Mutation:
    """Forget an SSH key; nodes that run keep it until they end."""
    account_id, title, name = request.caller.account_id, request.params["title"], request.params["keyName"]
    return Mutation(lambda tx: _key_body(ssh_keys.delete_key(tx, account_id, title, name)))


def _product_body(product: Product) -> shapes.ProductBody:
    return shapes.ProductBody(
        gpu_svr_code=product.code,
        node_counts=list(product.node_counts),
        use_type=product.use_type,  # type: ignore[arg-type]
        server_product_code=product.product_code,
        product_name=product.name,
        eng_full_name=product.name,
        cpu_count=product.n_cores,
        memory_size=product.memory_mib,
        gpu_count=product.n_gpus,
        gpu_model=product.gpu_model,
    )


def _image_list(names: list[str]) -> shapes.ImageList:
    return shapes.ImageList([shapes.ImageBody(name, name) for name in names], len(names))


def _registry_body(registry: images.Registry) -> shapes.RegistryBody:
    masked = f"****{registry.secret_end}"
    return shapes.RegistryBody(registry.private_ep, registry.access_key, masked, stamp(registry.created_at))


def _key_body(key: ssh_keys.SshKey) -> shapes.SshKeyBody:
    return shapes.SshKeyBody(key.name, key.title, key.fingerprint, stamp(key.created_at), key.fingerprint_sha256)


_operation = partial(operation, is_documented=True)

OPERATIONS: tuple[Operation, ...] = (
    _operation("list_products", "GET", "/server-products", "List server products.", list_products, response=shapes.ProductList),
    _operation("list_base_images", "GET", "/images/base", "List base images.", list_base_images, response=shapes.ImageList),
    _operation(
        "list_custom_images", "GET", "/images/custom", "List custom images.", list_custom_images, response=shapes.ImageList
    ),
    _operation(
        "create_registry", "POST", "/images/secret", "Create an image repository: store its login.", post_registry,
        request=shapes.NewRegistry, response=shapes.RegistryBody, status=201, has_own_answer=True,
    ),
    _operation(
        "list_registries", "GET", "/images/secret", "List image repositories, newest first.", list_registries,
        response=shapes.RegistryList,
    ),
    _operation(
        "delete_registry", "DELETE", "/images/secret", "Delete an image repository: forget its login.", remove_registry,
        response=shapes.RegistryBody, query=RegistryQuery, errors=(NSML_NOT_FOUND,), has_own_answer=True,
    ),
    _operation(
        "create_ssh_key", "POST", "/auth-keys", "Create an authentication key: store an SSH key.", post_key,
        request=shapes.NewSshKey, response=shapes.SshKeyBody, status=201, has_own_answer=True,
    ),
    _operation(
        "list_ssh_keys", "GET", "/auth-keys", "List authentication keys, newest first.", list_keys,
        response=shapes.SshKeyList,
    ),
    _operation(
        "delete_ssh_key", "DELETE", "/auth-keys/title/{title}/name/{keyName}", "Delete an authentication key.", remove_key,
        response=shapes.SshKeyBody, has_own_answer=True,
    ),
)  # fmt: skip
