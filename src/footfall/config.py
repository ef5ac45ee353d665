"""Settings: ``footfall.toml`` in the home directory, then the environment (``FOOTFALL_`` + the name in upper case).

The only reader of the environment but for the runner, which gets what it needs with its launch.
"""

import ipaddress
import json
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_type_hints

import msgspec

from footfall.errors import ConfigError
from footfall.personal_data import KINDS
from footfall.stores.names import StoreLocation

ENVIRONMENT_PREFIX = "FOOTFALL_"
OTHER_VARIABLES = frozenset(
    {
        "FOOTFALL_HOME", "FOOTFALL_ENDPOINT", "FOOTFALL_ACCESS_KEY", "FOOTFALL_SECRET_KEY", "FOOTFALL_API_KEY",
        "FOOTFALL_CA_FILE", "FOOTFALL_PROJECT",  # clients
        "FOOTFALL_THREADS", "FOOTFALL_JOB", "FOOTFALL_REPORT_FD", "FOOTFALL_RUN_ID", "FOOTFALL_RUN_MARKER",  # jobs
        "FOOTFALL_FAULTS", "FOOTFALL_SEED",  # the fault suite
    }
)  # fmt: skip
"""Variables of ours that are no settings."""


Count = Annotated[int, msgspec.Meta(ge=0)]
Positive = Annotated[int, msgspec.Meta(ge=1)]
Port = Annotated[int, msgspec.Meta(ge=0, le=65_535)]
Amount = Annotated[float, msgspec.Meta(ge=0)]


def _setting(default: Any, doc: str) -> Any:
    return field(default=default, metadata={"doc": doc})


@dataclass(frozen=True)
class Settings:
    """Every setting, with its default; the reference page is made from the texts below."""

    home: Path = _setting(Path("~/.footfall"), "Where everything lives: database, data, keys, credentials.toml.")
    host: str = _setting("127.0.0.1", "Address to listen on; other than loopback needs TLS or behind_proxy.")
    port: Port = _setting(8600, "Port to listen on; 0 takes any free one and writes it to credentials.toml.")
    tls_cert: str = _setting("", "PEM file with the server's certificate chain.")
    tls_key: str = _setting("", "PEM file with the certificate's private key.")
    behind_proxy: bool = _setting(False, "A proxy ends TLS before us and passes the request target on unchanged.")
    threads: Positive = _setting(8, "Threads that answer requests.")
    transfer_threads: Positive = _setting(16, "Threads that move objects in and out; more transfers at once get 503.")
    max_connections: Positive = _setting(
        1024, "Open connections, if `ulimit -n` leaves a quarter for the rest; more are answered with 503."
    )
    header_timeout_s: Amount = _setting(10.0, "A request's head must arrive within this time.")
    body_timeout_s: Amount = _setting(30.0, "Longest silence within a request's body.")
    keep_alive_s: Count = _setting(30, "An idle connection is closed after this time.")
    max_body_bytes: Count = _setting(1 << 20, "Largest body of a JSON request.")
    max_object_bytes: Count = _setting(1 << 40, "Largest object that PUT /data takes.")
    rate_per_key: Amount = _setting(0.0, "Requests a second for each access key; 0 means no limit.")
    failures_per_minute: Count = _setting(300, "Refused signatures a minute from one address before it gets 429; 0: no limit.")
    replay_protection: bool = _setting(True, "Refuse a changing request that was received before.")
    sign_decoded_query: bool = _setting(False, "Also accept signatures over the decoded query, as some SDKs make them.")
    data_directory: str = _setting("", "Database, run files and the default stores; servers that share a database share it.")
    database_url: str = _setting("", "SQLAlchemy URL; empty means SQLite in the data directory.")
    store_url: str = _setting("", "Where buckets live: a directory (file://…) or s3://; empty means the home directory.")
    internal_url: str = _setting("", "Where artefacts live: file://… or s3://bucket/prefix; empty means the home directory.")
    s3_endpoint: str = _setting("", "Endpoint of the S3 store, e.g. https://s3.example.com; empty means AWS.")
    s3_region: str = _setting("us-east-1", "Region of the S3 store.")
    s3_access_key: str = _setting("", "Access key for the S3 store.")
    s3_secret_key: str = _setting("", "Secret key for the S3 store.")
    s3_path_style: bool = _setting(True, "Address buckets by path, not by host name.")
    s3_timeout_s: Amount = _setting(30.0, "Give up on one request to the store after this time without an answer.")
    executor: str = _setting("local", "Who starts runs: a file of executors/, or a dotted module name.")
    local_cores: Count = _setting(0, "Cores the local executor hands out; 0 means all this process may use.")
    local_memory_mib: Count = _setting(0, "Memory the local executor hands out; 0 means four fifths of what is there.")
    behavior_cores: Positive = _setting(2, "Cores for a run that makes a feature, task or task run; at most what there is.")
    behavior_memory_mib: Positive = _setting(4096, "Memory for such a run; at most what there is.")
    behavior_timeout_s: Amount = _setting(86_400.0, "Wall-clock limit of such a run.")
    max_attempts: Positive = _setting(3, "How often such a run is tried when its process or the store is lost.")
    stop_grace_s: Amount = _setting(30.0, "Time between SIGTERM and SIGKILL when a run is stopped.")
    log_limit_bytes: Count = _setting(1 << 30, "A run's log is cut here, with a line that says so; the run goes on.")
    run_timeout_s: Amount = _setting(0.0, "Wall-clock limit of a user's run, unless it says less; 0 means none.")
    run_start_timeout_s: Amount = _setting(300.0, "All nodes of a run must have come up within this time.")
    run_output_limit_bytes: Count = _setting(10 << 30, "A run whose output directory grows beyond this ends with output_limit.")
    run_scratch_limit_bytes: Count = _setting(
        100 << 30, "A node whose home, /tmp and copy of the code grow beyond this together ends with scratch_limit."
    )
    run_max_processes: Count = _setting(4096, "Processes and threads of one node of a user's run.")
    log_limit_action: Literal["drop", "end"] = _setting("drop", "At a log's limit: drop what follows, or end the run.")
    run_uid: Count = _setting(65_534, "User and group id of users' commands where the server runs as root.")
    run_environment: tuple[str, ...] = _setting(
        (), "Variables of every user's command, as NAME=VALUE: a package index, proxies, HF_HOME; a request's own win. "
        "$NSML_PRJ_DIR in a value is the project's storage, so XDG_CACHE_HOME=$NSML_PRJ_DIR/.cache keeps caches between runs."
    )  # fmt: skip
    run_data: tuple[str, ...] = _setting(
        (), "Directories of the machine, such as data sets, that every user's command may read, at the same path."
    )
    run_network: Literal["auto", "host", "run", "nat"] = _setting(
        "auto", "host: runs share the host's network; run: each has one of its own, with nothing outside; nat: with a way out; "
        "auto: nat if there are several accounts and it works here, else host."
    )  # fmt: skip
    run_network_denied: tuple[str, ...] = _setting(
        ("169.254.0.0/16", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10"),
        "Networks that runs with a way out (nat) do not reach, beside this machine's own addresses."
    )  # fmt: skip
    run_network_allowed: tuple[str, ...] = _setting(
        (), "Networks and addresses within these that such runs do reach, such as a package index."
    )
    isolation: Literal["auto", "bubblewrap", "landlock", "plain"] = _setting(
        "auto", "auto, bubblewrap, landlock or plain: how a user's command is kept apart."
    )
    allow_plain: bool = _setting(
        False, "Run users' commands without isolation although we are root or there are several accounts."
    )
    allow_landlock: bool = _setting(
        False,
        "Run users' commands at level landlock although there are several accounts, whose runs then share a user and /dev/shm.",
    )
    fake_gpus: Count = _setting(0, "Hand out so many GPUs that do not exist, to try things; shown as fake everywhere.")
    project_max_runs: Count = _setting(0, "Runs of a project at the same time; 0 means no limit.")
    project_max_gpus: Count = _setting(0, "GPUs of a project at the same time; 0 means no limit.")
    overtake_limit_s: Amount = _setting(600.0, "A waiting run may be overtaken for at most this time.")
    max_code_bytes: Count = _setting(100_000_000, "Largest packed code archive.")
    max_code_unpacked_bytes: Count = _setting(1_000_000_000, "Largest code archive when unpacked.")
    products: tuple[Mapping[str, Any], ...] = _setting(
        (), "Server products, tables of code, use (TRAIN or DEV), cores, memory_mib, gpus, gpu_model, node_counts, "
        "name and product_code; empty: what fits this machine."
    )  # fmt: skip
    images: tuple[Mapping[str, Any], ...] = _setting(
        (), "Base images, tables of name, kind (host, venv, rootfs, oci or alias) and target: a directory, an image "
        "of an engine, or the base image that an alias means; empty: host, and what engine_images says."
    )  # fmt: skip
    engine_images: Literal["auto", "all", "none"] = _setting(
        "auto", "Whether all images that docker and podman have on this machine are base images where images is empty: all, "
        "none, or auto: as long as there is one account."
    )  # fmt: skip
    registry_hosts: tuple[str, ...] = _setting(
        (), "Hosts of image repositories that may be used beside those of private-ncr.ntruss.com."
    )
    min_free_mib: Count = _setting(64, "With less free space than this, new work is refused with 503.")
    max_resources: Count = _setting(1_000_000, "Features, tasks or task runs an account may have, each.")
    max_tokens_per_user: Count = _setting(0, "Keep only so many of a user's newest tokens; 0 means all.")
    min_labels_per_class: Count = _setting(100, "Labelled users of each class that a task needs.")
    personal_data: Literal["refuse", "warn", "off"] = _setting(
        "refuse", "What happens to files with personal data: refuse, warn or off."
    )
    personal_data_allowed: tuple[Mapping[str, Any], ...] = _setting(
        (), "Kinds of personal data that a bucket may hold, tables of bucket and kinds: email, card, resident, mobile, passport, "
        "licence."
    )  # fmt: skip
    result_names: Literal["exact", "suffix"] = _setting(
        "exact", "exact: a result is written where asked; suffix: a random part is added to its name."
    )
    disk_quota_mib: Count = _setting(0, "Space an account's features and tasks may take; 0 means no limit.")
    run_retention_days: Count = _setting(90, "What ended runs left is kept so long, and code since a run last used it.")
    metrics_access: Literal["loopback", "all", "off"] = _setting(
        "loopback", "Who may read /metrics, unsigned: loopback (but no run, and nobody when behind_proxy), all, or off."
    )
    log_level: Literal["debug", "info", "warning", "error"] = _setting("info", "debug, info, warning or error.")

    @property
    def data_dir(self) -> Path:
        """The directory of everything but secrets."""
        return Path(self.data_directory).expanduser().absolute() if self.data_directory else self.home / "data"

    @property
    def runs_root(self) -> Path:
        """The directory under which ``layout.run_dir`` lies for the local executor."""
        return self.data_dir

    @property
    def key_file(self) -> Path:
        """The file of the key that encrypts secrets at rest."""
        return self.home / "secret" / "key"

    @property
    def credentials_file(self) -> Path:
        """The file that tells clients where the server is and who they are."""
        return self.home / "credentials.toml"

    def buckets_location(self) -> StoreLocation:
        """Where the buckets live."""
        return self._location(self.store_url or f"file://{self.data_dir}/buckets")

    def internal_location(self) -> StoreLocation:
        """Where the artefacts live, which no bucket name reaches."""
        return self._location(self.internal_url or f"file://{self.data_dir}/internal")

    def _location(self, url: str) -> StoreLocation:
        if not url.startswith("s3://"):
            return StoreLocation(url)
        return StoreLocation(
            url, self.s3_endpoint, self.s3_region, self.s3_access_key, self.s3_secret_key, self.s3_path_style, self.s3_timeout_s
        )


PRIVATE_DIRECTORIES = ("buckets", "internal")
"""Parts of the data directory that no run need pass through."""
_PRIVATE_FILES = ("footfall.db", "footfall.db-wal", "footfall.db-shm")


def find_open_paths(settings: Settings) -> list[Path]:
    """Return the parts of the data directory that are the server's alone, and into which others can look."""
    paths = [settings.data_dir / name for name in (*PRIVATE_DIRECTORIES, *_PRIVATE_FILES)]
    return [path for path in paths if path.exists() and path.stat().st_mode & 0o077]


def home_dir(home: str | os.PathLike[str] | None = None, environment: Mapping[str, str] | None = None) -> Path:
    """Return the home directory: the argument, else ``FOOTFALL_HOME``, else ``~/.footfall``."""
    env = os.environ if environment is None else environment
    return Path(home or env.get("FOOTFALL_HOME") or "~/.footfall").expanduser().absolute()


def load_settings(
    home: str | os.PathLike[str] | None = None, environment: Mapping[str, str] | None = None, **overrides: Any
) -> Settings:
    """Read the settings of a home directory; arguments win over the environment, which wins over the file.

    Raises:
        ConfigError: an unknown name in the file or a value of the wrong kind.
    """
    env = os.environ if environment is None else environment
    directory = home_dir(home, env)
    known = {f.name: f for f in fields(Settings) if f.name != "home"}
    in_file: dict[str, Any] = {}
    file = directory / "footfall.toml"
    if file.exists():
        try:
            table = tomllib.loads(file.read_text("utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ConfigError(str(file), f"is not valid TOML: {error}") from error
        for name, value in table.items():
            if name not in known:
                raise ConfigError(name, f"in {file} is no setting of ours; `footfall doctor` lists them")
            in_file[name] = value
    for variable in env:
        is_ours = variable.startswith(ENVIRONMENT_PREFIX) and variable not in OTHER_VARIABLES
        if is_ours and variable.removeprefix(ENVIRONMENT_PREFIX).lower() not in known:
            raise ConfigError(variable, "is no setting of ours; docs/reference/settings.md lists them")
    in_env: dict[str, Any] = {}
    for name, setting in known.items():
        text = env.get(ENVIRONMENT_PREFIX + name.upper())
        if text is not None:
            in_env[name] = _parse_list(name, text) if type(setting.default) is tuple else text
    arguments = {name: value for name, value in overrides.items() if value is not None}
    values: dict[str, Any] = {}
    for source in (in_file, in_env, arguments):  # a wrong value is refused even where another wins over it
        values |= _convert(known, source)
    return _check(Settings(home=directory, **values))


def _convert(known: Mapping[str, Field[Any]], values: Mapping[str, Any]) -> dict[str, Any]:
    texts = {name: value for name, value in values.items() if type(known[name].default) is bool and isinstance(value, str)}
    words = {name: _BOOLEANS[text.lower()] for name, text in texts.items() if text.lower() in _BOOLEANS}
    try:
        settings = msgspec.convert({**values, **words}, Settings, strict=False)
    except msgspec.ValidationError as error:
        what, _, path = str(error).partition(" - at `$.")
        name = re.split(r"[`.\[]", path)[0]
        raise ConfigError(name, _refusal(name, values[name], what)) from error
    return {name: getattr(settings, name) for name in values}


_TEXT_LISTS = ("registry_hosts", "run_environment", "run_data", "run_network_denied", "run_network_allowed")


def _refusal(name: str, value: object, what: str) -> str:
    if isinstance(getattr(Settings, name), tuple):
        form = f'texts: write {name} = ["…"]' if name in _TEXT_LISTS else f"tables: write them as [[{name}]]"
        return f"{value!r} is no list of {form}, or in the environment as JSON"
    if what.startswith("Invalid enum value"):
        return f"{value!r} is none of {', '.join(get_args(get_type_hints(Settings)[name]))}"
    limit = re.fullmatch(r"Expected `\w+` ([<>]=) (\S+)", what)
    if limit is None:
        return f"{value!r} is no {type(getattr(Settings, name)).__name__}"
    if limit[1] == ">=":
        return f"{value} is too small; at least {limit[2].removesuffix('.0')} is needed"
    return f"{value} is too large; at most {limit[2]} is possible"


def _parse_list(name: str, text: str) -> Any:
    """Return a list of the environment, where it is JSON."""
    try:
        return json.loads(text)
    except ValueError as error:
        raise ConfigError(name, f"is not valid JSON: {error}") from error


_BOOLEANS = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}


def _check(settings: Settings) -> Settings:
    for name in ("store_url", "internal_url"):
        if getattr(settings, name) and not getattr(settings, name).startswith(("file:///", "s3://")):
            raise ConfigError(name, f"{getattr(settings, name)!r} is neither file:///DIRECTORY nor s3://")
    for table in settings.personal_data_allowed:
        kinds = table.get("kinds")
        if set(table) != {"bucket", "kinds"} or not isinstance(kinds, list) or not set(kinds) <= KINDS.keys():
            form = '{bucket = "…", kinds = ["card"]}'
            raise ConfigError("personal_data_allowed", f"{dict(table)!r} is not {form} with some of {', '.join(KINDS)}")
    for variable in settings.run_environment:
        if not variable.partition("=")[0] or "=" not in variable or variable.startswith("NSML_"):
            raise ConfigError("run_environment", f"{variable!r} does not read NAME=VALUE, or is a name that the server sets")
    for path in settings.run_data:
        if not path.startswith("/") or path == "/" or not Path(path).is_dir():
            raise ConfigError(
                "run_data", f"{path!r} is no directory of this machine, given from the root and not the root itself"
            )
    _check_networks(settings)
    if settings.s3_endpoint and not settings.s3_endpoint.startswith(("http://", "https://")):
        raise ConfigError("s3_endpoint", f"{settings.s3_endpoint!r} does not begin with https:// or http://")
    return settings


def _check_networks(settings: Settings) -> None:
    for name in ("run_network_denied", "run_network_allowed"):
        for each in getattr(settings, name):
            try:
                ipaddress.IPv4Network(each)
            except ValueError as error:
                raise ConfigError(name, f"{each!r} is no IPv4 network such as 10.0.0.0/8: {error}") from error
