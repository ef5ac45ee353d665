"""Server products and images: from the configuration, or from the looks of the machine."""

from pathlib import Path
from typing import Any

import pytest

import engine_peer
from footfall.compute.catalogue.images import Images, import_image
from footfall.compute.catalogue.products import Machine, Products
from footfall.compute.reconciler.schedule import missing
from footfall.config import Settings, load_settings
from footfall.db import images
from footfall.db.engine.engine import Database, sqlite_url
from footfall.db.tables import metadata
from footfall.errors import AlreadyExistsError, ConfigError, InvalidFieldError, ShortageError
from footfall.machine.engines import Engine, Engines
from footfall.machine.isolation import Isolation
from footfall.records import Capacity, Gpu, Image, RunSpec


def of_machine(settings: Settings, cores: int, memory_mib: int, *models: str) -> Products:
    gpus = tuple(Gpu(str(n), model, 1024) for n, model in enumerate(models))
    return Products(settings, Machine(Capacity(cores, memory_mib, len(gpus)), gpus))


@pytest.mark.parametrize(
    ("cores", "memory_mib", "models"),
    [
        (1, 512, ()), (2, 18_000, ()), (3, 5_000, ("A",)), (64, 500_000, ("H200",) * 8), (16, 64_000, ("A", "B", "A")),
        (2, 8192, ("A",) * 8),
    ],
)  # fmt: skip
def test_every_product_of_a_machine_fits_it_with_each_of_its_node_counts(
    settings: Settings, cores: int, memory_mib: int, models: tuple[str, ...]
) -> None:
    products = of_machine(settings, cores, memory_mib, *models)
    gpus = [Gpu(str(n), model, 1024) for n, model in enumerate(models)]
    assert len({product.code for product in products.all}) == len(products.all)
    for product in products.all:
        assert product.memory_mib >= 1
        assert product.node_counts[0] == 1
        for count in product.node_counts:
            spec = RunSpec((), count, product.n_cores, product.memory_mib, product.n_gpus, gpu_model=product.gpu_model)
            assert missing(spec, Capacity(cores, memory_mib, len(gpus)), gpus) is None, product
    assert products.get(1).use_type == "TRAIN"
    assert products.get(4).use_type == "DEV"
    assert min(p.n_cores for p in products.all if p.use_type == "TRAIN") == products.get(1).n_cores == 1
    for model in set(models):
        counts = {p.n_gpus for p in products.all if p.gpu_model == model}
        assert counts == {n for n in (1, 2, 4, 8) if n <= models.count(model)}


def test_names_have_the_documented_form(settings: Settings) -> None:
    names = [product.name for product in of_machine(settings, 4, 16_384, "H200").all]
    assert "[Notebook] 4vCPU, 16GB Mem" in names
    assert "[Train] 1 x H200, 4vCPU, 16GB Mem" in names
    assert of_machine(settings, 1, 700).get(1).name == "[Train] 1vCPU, 700MB Mem"


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ({"gpus": 2, "gpu_model": "H200"}, "[Train] 2 x H200 (fake), 1vCPU, 1GB Mem"),
        ({"gpus": 1}, "[Train] 1 x GPU (fake), 1vCPU, 1GB Mem"),
        ({"gpus": 1, "gpu_model": "H200", "name": "Large"}, "Large (fake)"),
        ({"gpu_model": "H200", "name": "Large"}, "Large"),
    ],
)
def test_configured_products_say_that_gpus_are_fake(tmp_path: Path, given: dict[str, Any], name: str) -> None:
    table = {"code": 1, "use": "TRAIN", "cores": 1, "memory_mib": 1024} | given
    settings = load_settings(tmp_path / "home", {}, products=(table,))
    gpus = (Gpu("0", "fake GPU", 1024, is_fake=True),)
    assert Products(settings, Machine(Capacity(8, 8192, 1), gpus)).get(1).name == name
    [real] = Products(settings, Machine(Capacity(8, 8192, 1), (Gpu("0", "H200", 1024),))).all
    assert "fake" not in real.name


def test_an_engine_that_queues_for_itself_needs_configured_products(settings: Settings) -> None:
    products = Products(settings, Machine())
    assert products.all == ()
    with pytest.raises(InvalidFieldError, match="none, until the operator"):
        products.get(1)


def test_products_are_read_from_the_file_and_the_environment(tmp_path: Path) -> None:
    text = '[[products]]\ncode = 7\nuse = "TRAIN"\ncores = 2\nmemory_mib = 2048\nnode_counts = [1, 4]\ngpus = 1\n'
    (tmp_path / "footfall.toml").write_text(text)
    (product,) = Products(load_settings(tmp_path, {}), Machine()).all
    assert (product.code, product.node_counts, product.run_type) == (7, (1, 4), "TRAIN")
    assert product.name == "[Train] 1 x GPU, 2vCPU, 2GB Mem"
    given = {"FOOTFALL_PRODUCTS": '[{"code": 9, "use": "DEV", "cores": 1, "memory_mib": 1, "name": "n"}]'}
    (product,) = Products(load_settings(tmp_path, given), Machine()).all
    assert (product.code, product.name, product.run_type) == (9, "n", "NOTEBOOK")


GOOD = {"code": 7, "use": "TRAIN", "cores": 2, "memory_mib": 2048}


@pytest.mark.parametrize(
    "change",
    [
        {"code": 0}, {"code": "7"}, {"code": 1 << 31}, {"use": "train"}, {"cores": 0}, {"memory_mib": 0}, {"gpus": -1},
        {"node_counts": []}, {"node_counts": [0]}, {"node_counts": [1, 1]}, {"colour": "red"},
    ],
)  # fmt: skip
def test_a_product_that_cannot_be_stops_the_start(settings: Settings, change: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="products"):
        Products(load_settings(settings.home, {}, products=(GOOD | change,)), Machine())
    with pytest.raises(ConfigError, match="no other product"):
        Products(load_settings(settings.home, {}, products=(GOOD, GOOD)), Machine())


@pytest.mark.parametrize("name", ["products", "images", "registry_hosts"])
def test_a_setting_that_is_no_list_stops_the_start(tmp_path: Path, name: str) -> None:
    for text in ("x", "{}", "[1]", "1"):
        with pytest.raises(ConfigError, match=name):
            load_settings(tmp_path, {f"FOOTFALL_{name.upper()}": text})


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('images = "x"', r"'x' is no list of tables: write them as \[\[images\]\]"),
        ("products = 1", r"1 is no list of tables"),
        ('registry_hosts = "h"', r"'h' is no list of texts"),
    ],
)
def test_what_is_no_list_in_the_file_is_not_called_json(tmp_path: Path, line: str, says: str) -> None:
    (tmp_path / "footfall.toml").write_text(line)
    with pytest.raises(ConfigError, match=says):
        load_settings(tmp_path, {})


def isolation(level: str, **engines: str) -> Isolation:
    found = [Engine(name, "" if why else f"/usr/bin/{name}", why) for name, why in engines.items()]
    return Isolation(level, "Because.", 65_534, Engines({}, found), True, True)


@pytest.fixture
def database(tmp_path: Path) -> Database:
    database = Database(sqlite_url(tmp_path / "db"))
    metadata.create_all(database.engine)
    return database


def configured(settings: Settings, *tables: dict[str, str], machine: Machine | None = None) -> Images:
    return Images(load_settings(settings.home, {}, images=tables), machine or Machine())


def test_each_kind_of_image_resolves_to_what_runs_it(settings: Settings, database: Database, tmp_path: Path) -> None:
    tables = (
        {"name": "env", "kind": "venv", "target": str(tmp_path)}, {"name": "root", "kind": "rootfs", "target": str(tmp_path)},
        {"name": "alias", "kind": "alias", "target": "second"}, {"name": "second", "kind": "alias", "target": "env"},
        {"name": "oci:v1", "kind": "oci"}, {"name": "host", "kind": "host"},
    )  # fmt: skip
    found = configured(settings, *tables, machine=Machine(isolation=isolation("bubblewrap", docker="")))
    assert found.base(1) == ["env", "root", "alias", "second", "oci:v1", "host"]
    with database.read() as connection:
        assert found.resolve(connection, "BASE", "alias", 1) == Image("alias", "venv", str(tmp_path))
        assert found.resolve(connection, "BASE", "oci:v1", 1) == Image("oci:v1", "oci", "oci:v1")
        for level in ("landlock", "plain"):
            other = configured(settings, *tables, machine=Machine(isolation=isolation(level, docker="no socket.")))
            assert other.resolve(connection, "BASE", "env", 1).kind == "venv"
            with pytest.raises(ShortageError, match="needs isolation by bubblewrap"):
                other.resolve(connection, "BASE", "root", 1)
            with pytest.raises(ShortageError, match=r"Engines tried: docker: no socket\.$"):
                other.resolve(connection, "BASE", "oci:v1", 1)
    file = configured(settings, {"name": "sif", "kind": "oci", "target": "/srv/x.sif"}, machine=machine_with("docker"))
    with database.read() as connection, pytest.raises(ShortageError, match=r"Engines tried: docker: works\.$"):
        file.resolve(connection, "BASE", "sif", 1)  # a file is apptainer's
    gone = configured(settings, {"name": "env", "kind": "venv", "target": "/nowhere"})
    with database.read() as connection, pytest.raises(ShortageError, match="is not there"):
        gone.resolve(connection, "BASE", "env", 1)


def machine_with(engine: str) -> Machine:
    return Machine(isolation=isolation("bubblewrap", **{engine: ""}))


def test_with_none_configured_the_images_of_engines_that_work_are_base_images(
    settings: Settings, database: Database, tmp_path: Path
) -> None:
    state = engine_peer.install(tmp_path / "engines", "podman")
    (state / "image-1.json").write_text('{"Id": "1", "name": "localhost/torch:2"}')
    engines = Engines({"PATH": engine_peer.path_with(tmp_path / "engines"), "HOME": str(tmp_path)})
    machine = Machine(isolation=Isolation("bubblewrap", "", 65_534, engines, True, True))
    found = Images(settings, machine)
    with database.read() as connection:
        assert found.resolve(connection, "BASE", "host", 1) == Image("host", "host")
        assert engines.known is None, "whoever wants the host's environment does not wait for engines"
        assert found.base(1)[0] == "host"
        assert "localhost/torch:2" in found.base(1)
        assert found.resolve(connection, "BASE", "localhost/torch:2", 1) == Image("localhost/torch:2", "oci", "localhost/torch:2")
        with pytest.raises(ShortageError, match=r"no BASE image 'torch:9'.*podman: works"):
            found.resolve(connection, "BASE", "torch:9", 1)
    only = configured(settings, {"name": "host", "kind": "host"}, machine=machine)
    assert only.base(1) == ["host"], "what is configured is all that there is"


def test_with_several_accounts_images_of_engines_are_offered_by_name_alone(
    settings: Settings, database: Database, tmp_path: Path
) -> None:
    state = engine_peer.install(tmp_path / "engines", "podman")
    (state / "image-1.json").write_text('{"Id": "1", "name": "localhost/private:2"}')
    engines = Engines({"PATH": engine_peer.path_with(tmp_path / "engines"), "HOME": str(tmp_path)})
    machine = Machine(isolation=Isolation("bubblewrap", "", 65_534, engines, True, True))
    named = {"name": "theirs", "kind": "oci", "target": "localhost/private:2"}

    def offered(n_accounts: int, **given: object) -> tuple[list[str], str]:
        found = Images(load_settings(settings.home, {}, **given), machine)
        with database.read() as connection:
            try:
                found.resolve(connection, "BASE", "localhost/private:2", n_accounts)
            except ShortageError as error:
                return found.base(n_accounts), "withheld" if "sets engine_images" in str(error) else "unknown"
        return found.base(n_accounts), "found"

    assert offered(1) == (["host", "localhost/private:2"], "found")
    assert offered(2) == (["host"], "withheld")
    assert offered(2, engine_images="all") == (["host", "localhost/private:2"], "found")
    assert offered(1, engine_images="none") == (["host"], "unknown")
    assert offered(2, images=(named,)) == (["theirs"], "unknown")


@pytest.mark.parametrize(
    "tables",
    [
        [{"name": "a", "kind": "oci", "target": "-v"}],
        [{"name": "a", "kind": "alias", "target": "a"}], [{"name": "a", "kind": "alias"}], [{"name": "a", "kind": "venv"}],
        [{"name": "a", "kind": "alias", "target": "b"}, {"name": "b", "kind": "alias", "target": "a"}],
        [{"name": "a", "kind": "rootfs", "target": "relative"}], [{"name": "a", "kind": "magic"}], [{"kind": "host"}],
        [{"name": "a", "kind": "host"}] * 2, [{"name": "", "kind": "host"}], [{"name": "a", "kind": "host", "x": "y"}],
    ],
)  # fmt: skip
def test_an_image_that_cannot_be_stops_the_start(settings: Settings, tables: list[dict[str, str]]) -> None:
    with pytest.raises(ConfigError, match="images"):
        configured(settings, *tables)


def test_a_directory_is_imported_as_what_it_is(settings: Settings, database: Database, tmp_path: Path) -> None:
    env, root = tmp_path / "env", tmp_path / "root"
    (root / "bin").mkdir(parents=True)
    (root / "usr").mkdir()
    env.mkdir()
    (env / "pyvenv.cfg").touch()
    with database.write() as tx:
        assert import_image(tx, "mine:v1", env) == Image("mine:v1", "venv", str(env))
        assert import_image(tx, "root", root).kind == "rootfs"
        conda = tmp_path / "conda"
        for part in ("bin", "lib", "conda-meta"):
            (conda / part).mkdir(parents=True)
        (conda / "bin/python").touch()
        assert import_image(tx, "conda", conda).kind == "venv"
    found = Images(settings, Machine())
    with database.read() as connection:
        assert found.resolve(connection, "CUSTOM", "mine:v1", 1).path == str(env)
        assert {image.name for image in images.list_imported(connection)} == {"root", "mine:v1", "conda"}
        with pytest.raises(ShortageError):
            found.resolve(connection, "BASE", "mine:v1", 1)
    for name, path, error in (
        ("mine:v1", env, AlreadyExistsError), ("x", tmp_path / "none", InvalidFieldError), ("", env, InvalidFieldError),
        ("a\n", env, InvalidFieldError), ("x" * 201, env, InvalidFieldError),
    ):  # fmt: skip
        with pytest.raises(error), database.write() as tx:
            import_image(tx, name, path)
