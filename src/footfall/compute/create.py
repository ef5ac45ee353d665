"""Check what somebody asks to be run, and make the run of it. Knows no HTTP.

Everything that can be refused without the database's lock is refused before; what only a transaction can decide, such as a
block storage that another run takes at that moment, is refused in it and leaves no number spent.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace

from sqlalchemy.engine import Connection

from footfall.compute import environment, projects, rules
from footfall.compute.catalogue.images import Images
from footfall.compute.catalogue.products import Machine, Products
from footfall.compute.environment import MASK, Value
from footfall.compute.reconciler import schedule
from footfall.compute.runs import create_command_run
from footfall.config import Settings
from footfall.db import code_archives, run_inputs, runs, volumes
from footfall.db.access import accounts
from footfall.db.engine.encryption import Secrets
from footfall.errors import InvalidFieldError, ShortageError
from footfall.records import Caller, Image, Json, MountedVolume, Product, Project, Run, RunSpec, Workload, new_id

MAX_COMMAND_CHARACTERS, MAX_COMMAND_BYTES = 32_768, 100_000
MAX_PRIORITY = 100
MAX_TIMEOUT_S = 10 * 366 * 86_400


@dataclass(frozen=True, slots=True)
class Launcher:
    """What a server has to offer to those who want something run."""

    settings: Settings
    secrets: Secrets
    machine: Machine
    products: Products
    images: Images


@dataclass(frozen=True, slots=True)
class RunRequest:
    """What somebody asks for. None, 0 and empty: not said. Sizes are in bytes, the timeout in seconds."""

    product_code: int
    image_type: str
    image_path: str
    node_count: int
    command: str = ""
    environment: Mapping[str, Value] | None = None
    secret_names: tuple[str, ...] = ()
    note: str = ""
    volumes: tuple[int, ...] = ()
    code_digest: str = ""
    timeout_s: int | None = None
    priority: int = 0
    output_limit_bytes: int | None = None
    log_limit_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class PlannedRun:
    """A run that can be made. ``secrets``: the values of its environment that nobody may see."""

    caller: Caller
    project_id: str
    spec: RunSpec
    product: Product
    priority: int
    request: Json
    secrets: Mapping[str, str]

    def apply(self, tx: Connection, sealer: Secrets) -> Run:
        """Make the run, with its number, and take its block storages.

        Raises:
            NotFoundError: the project, a block storage or the code is not there.
            WrongStateError: the project is not open.
            InUseError: another run has a block storage.
        """
        id = new_id()
        run = create_command_run(
            tx,
            account_id=self.caller.account_id,
            user_id=self.caller.user_id,
            project_id=self.project_id,
            spec=self.spec,
            product=self.product,
            priority=self.priority,
            request=self.request,
            sealed=sealer.seal(json.dumps(dict(self.secrets)).encode(), id) if self.secrets else None,
            run_id=id,
        )
        assert self.spec.workload is not None
        for volume in self.spec.workload.volumes:
            volumes.take(tx, self.caller.account_id, self.project_id, volume.number, id)
        if self.spec.workload.code_digest:
            code_archives.use(tx, self.project_id, self.spec.workload.code_digest)
        return run


def check_new(connection: Connection, shop: Launcher, caller: Caller, project_id: str, wish: RunRequest) -> PlannedRun:
    """Return the draft of what somebody asks for.

    Raises:
        NotFoundError: the account has no such project.
        WrongStateError: the project is not open.
        InvalidFieldError: a field breaks a rule.
        ShortageError: it could not start even on an idle system.
    """
    project = projects.get_open(connection, caller, project_id)
    product = shop.products.get(wish.product_code)
    _check_nodes(product, wish.node_count)
    _check_command(product, wish.command)
    variables = wish.environment or {}
    environment.check(variables)
    rules.check_note(wish.note)
    _check_numbers(wish)
    image = shop.images.resolve(connection, wish.image_type, wish.image_path)
    hidden = environment.secret_names(variables, wish.secret_names)
    spec = _spec(shop.settings, project, product, wish, image, hidden)
    _check_possible(connection, shop, spec)
    shown = {name: MASK if name in hidden else value for name, value in variables.items()}
    secrets = {name: environment.text(variables[name]) for name in hidden}
    return PlannedRun(caller, project.id, spec, product, wish.priority, _request(wish, product, shown), secrets)


def plan_restart(connection: Connection, shop: Launcher, caller: Caller, run_id: str, request: Json) -> PlannedRun:
    """Return the draft of a run like one that was made before: the same specification and code, whatever was configured since.

    Args:
        request: what was asked for, as it is shown.

    Raises:
        NotFoundError, WrongStateError: as ``check_new``.
        ShortageError: it could not start even on an idle system.
    """
    old = runs.get(connection, run_id)
    sealed = run_inputs.find_sealed(connection, run_id)
    project = projects.get_open(connection, caller, old.project_id)
    workload = old.spec.workload
    assert workload is not None
    assert old.product_code is not None
    _check_possible(connection, shop, old.spec)
    secrets = {} if sealed is None else json.loads(shop.secrets.open(sealed, run_id))
    product = Product(
        code=old.product_code,
        use_type="DEV" if workload.script is None else "TRAIN",
        node_counts=(old.spec.n_nodes,),
        name=request["engFullName"],
        product_code="",
        n_cores=old.spec.n_cores,
        memory_mib=old.spec.memory_mib,
        n_gpus=old.spec.n_gpus,
        gpu_model=old.spec.gpu_model,
    )
    spec = replace(old.spec, workload=replace(workload, project_name=project.name))
    return PlannedRun(caller, project.id, spec, product, old.priority, request, secrets)


def _check_nodes(product: Product, node_count: int) -> None:
    if node_count not in product.node_counts:
        allowed = ", ".join(str(count) for count in product.node_counts)
        details = f"nodeCount is {node_count}; the product {product.code} takes: {allowed}."
        raise InvalidFieldError("nodeCount", node_count, "choice", details)


def _check_command(product: Product, command: str) -> None:
    if product.use_type == "DEV":
        if command:
            details = f"The product {product.code} is a notebook, which takes no command; leave it out."
            raise InvalidFieldError("command", command, "choice", details)
        return
    if not command.strip():
        details = f"command is missing; the product {product.code} is for training and needs one."
        raise InvalidFieldError("command", command, "missing", details)
    if len(command) > MAX_COMMAND_CHARACTERS or len(command.encode()) > MAX_COMMAND_BYTES:
        details = (
            f"command has {len(command)} characters; at most {MAX_COMMAND_CHARACTERS}, and {MAX_COMMAND_BYTES} bytes, "
            "are allowed. Put it into a file and send that as code."
        )
        raise InvalidFieldError("command", None, "too_long", details)
    rules.refuse_nul(command, "command")


def _check_numbers(wish: RunRequest) -> None:
    if not -MAX_PRIORITY <= wish.priority <= MAX_PRIORITY:
        details = f"priority is {wish.priority}; give a whole number from {-MAX_PRIORITY} to {MAX_PRIORITY}."
        raise InvalidFieldError("priority", wish.priority, "range", details)
    if wish.timeout_s is not None and not 1 <= wish.timeout_s <= MAX_TIMEOUT_S:
        details = f"timeoutSeconds is {wish.timeout_s}; give a whole number from 1 to {MAX_TIMEOUT_S}."
        raise InvalidFieldError("timeoutSeconds", wish.timeout_s, "range", details)
    for field, value in (("outputLimitBytes", wish.output_limit_bytes), ("logLimitBytes", wish.log_limit_bytes)):
        if value is not None and value < 1:
            raise InvalidFieldError(field, value, "range", f"{field} is {value}; give at least 1.")
    if len(set(wish.volumes)) < len(wish.volumes):
        raise InvalidFieldError(
            "blockStorageNoList", None, "choice", "blockStorageNoList has a number twice; name each once."
        )
    if wish.code_digest:
        code_archives.check_digest(wish.code_digest, "codeDigest")


def _check_possible(connection: Connection, shop: Launcher, spec: RunSpec) -> None:
    machine = shop.machine
    isolation = machine.isolation
    if isolation is not None and isolation.level == "plain":
        refusal = isolation.refusal(accounts.count_accounts(connection))
        if refusal is not None:
            raise ShortageError(refusal)
    lacking = [schedule.missing(spec, machine.capacity, machine.gpus)]
    if machine.capacity is not None:  # an engine that queues for itself knows no limits of ours
        lacking.append(schedule.beyond_limit(spec, schedule.Limits(max_gpus=shop.settings.project_max_gpus)))
    short = [each for each in lacking if each]
    if short:
        raise ShortageError(f"The run could not start even if nothing else ran; it needs {' and '.join(short)}.", short)


def _spec(
    settings: Settings, project: Project, product: Product, wish: RunRequest, image: Image, hidden: frozenset[str]
) -> RunSpec:
    variables = wish.environment or {}
    timeouts = [limit for limit in (wish.timeout_s, settings.run_timeout_s) if limit]
    output_limit = settings.run_output_limit_bytes
    return RunSpec(
        command=(),
        n_nodes=wish.node_count,
        n_cores=product.n_cores,
        memory_mib=product.memory_mib,
        n_gpus=product.n_gpus,
        gpu_model=product.gpu_model,
        environment={name: environment.text(value) for name, value in variables.items() if name not in hidden},
        timeout_s=min(timeouts) if timeouts else None,
        grace_s=settings.stop_grace_s,
        log_limit_bytes=min(wish.log_limit_bytes or settings.log_limit_bytes, settings.log_limit_bytes),
        workload=Workload(
            script=wish.command if product.use_type == "TRAIN" else None,
            image=image,
            project_id=project.id,
            project_name=project.name,
            run_name="",
            volumes=tuple(MountedVolume(number) for number in wish.volumes),
            code_digest=wish.code_digest,
            code_limit_bytes=settings.max_code_unpacked_bytes,
            output_limit_bytes=min(wish.output_limit_bytes or output_limit, output_limit),
            max_processes=settings.run_max_processes,
            log_limit_action=settings.log_limit_action,
            start_timeout_s=settings.run_start_timeout_s,
            network=settings.run_network,
        ),
    )


def _request(wish: RunRequest, product: Product, shown: Mapping[str, Value]) -> Json:
    return {
        "command": wish.command,
        "envs": dict(shown),
        "note": wish.note,
        "imageType": wish.image_type,
        "imagePath": wish.image_path,
        "gpuSvrCode": product.code,
        "engFullName": product.name,
        "nodeCount": wish.node_count,
        "blockStorageNoList": list(wish.volumes),
        "codeDigest": wish.code_digest or None,
        "timeoutSeconds": wish.timeout_s,
        "outputLimitBytes": wish.output_limit_bytes,
        "logLimitBytes": wish.log_limit_bytes,
    }
