"""Plan a run: everything that can be refused without the database's lock is refused here. Knows no HTTP.

What only a transaction can decide, such as a block storage that another run takes at that moment, is refused when the plan is
applied (``compute/runs.py``), and leaves no number spent.
"""

import json
from dataclasses import dataclass, replace

import msgspec

from footfall.compute import environment, projects, rules
from footfall.compute.catalogue.images import Images
from footfall.compute.catalogue.products import Machine, Products
from footfall.compute.reconciler import schedule
from footfall.compute.runs import PlannedRun
from footfall.config import Settings
from footfall.contract.runs import NewRun, RunChanges, RunRequest
from footfall.db import run_inputs, runs
from footfall.db.access import accounts
from footfall.db.engine.encryption import Secrets
from footfall.db.engine.engine import Connection
from footfall.errors import InvalidFieldError, ShortageError
from footfall.records import Caller, Image, MountedVolume, Product, Project, RunSpec, Workload


@dataclass(frozen=True, slots=True)
class Launcher:
    """What a server has to offer to those who want something run."""

    settings: Settings
    secrets: Secrets
    machine: Machine
    products: Products
    images: Images


def plan_run(connection: Connection, launcher: Launcher, caller: Caller, project_id: str, new: NewRun) -> PlannedRun:
    """Return the plan of a run that somebody asks for.

    Raises:
        NotFoundError: the account has no such project.
        WrongStateError: the project is not open.
        InvalidFieldError: a field breaks a rule.
        ShortageError: it could not start even on an idle system.
    """
    project = projects.get_open(connection, caller, project_id)
    product = launcher.products.get(new.gpu_svr_code)
    rules.check_run(new, product)
    variables = environment.split((new.env if new.envs is None else new.envs) or {}, new.secret_envs or ())
    n_accounts = accounts.count_accounts(connection)
    image = launcher.images.resolve(connection, new.image_type, new.image_path, n_accounts)
    network = _network(launcher, n_accounts)
    spec = _spec(launcher.settings, project, product, new, image, variables.plain | _git_variables(new), network)
    request = RunRequest(
        command=new.command or "",
        envs=variables.shown,
        note=new.note or "",
        image_type=new.image_type,
        image_path=new.image_path,
        gpu_svr_code=product.code,
        eng_full_name=product.name,
        node_count=new.node_count,
        block_storage_no_list=new.block_storage_no_list or [],
        code_digest=new.code_digest or None,
        git_commit=new.git_commit or None,
        git_modified=new.git_modified if new.git_commit else None,
        timeout_seconds=new.timeout_seconds,
        output_limit_bytes=new.output_limit_bytes,
        log_limit_bytes=new.log_limit_bytes,
    )
    plan = PlannedRun(
        caller.account_id, caller.user_id, project.id, spec, product.run_type, product.code, new.priority or 0, request,
        variables.secret,
    )  # fmt: skip
    _check_possible(launcher, spec, n_accounts)
    return plan


def plan_restart(
    connection: Connection, launcher: Launcher, caller: Caller, run_id: str, request: RunRequest, changes: RunChanges
) -> PlannedRun:
    """Return the plan of a run like an earlier one: of the same specification and code, whatever was configured since.

    Only the network is the one that a run of now gets.
    With changes it is what ``plan_run`` makes of the earlier request with these, by what is configured now.

    Args:
        request: what the earlier run was asked for with.

    Raises:
        NotFoundError, WrongStateError: as ``plan_run``.
        InvalidFieldError: a change breaks a rule.
        ShortageError: it could not start even on an idle system.
    """
    old = runs.get(connection, run_id)
    sealed = run_inputs.find_sealed(connection, run_id)
    secrets = {} if sealed is None else json.loads(launcher.secrets.open(sealed, run_id))
    if changes != RunChanges():
        new = _changed(request, old.priority, secrets, changes)
        return plan_run(connection, launcher, caller, old.project_id, new)
    project = projects.get_open(connection, caller, old.project_id)
    workload = old.spec.workload
    assert workload is not None
    assert old.run_type is not None
    assert old.product_code is not None
    n_accounts = accounts.count_accounts(connection)
    network = _network(launcher, n_accounts)  # accounts may have come since
    spec = replace(old.spec, workload=replace(workload, project_name=project.name, network=network))
    _check_possible(launcher, spec, n_accounts)
    return PlannedRun(
        caller.account_id, caller.user_id, project.id, spec, old.run_type, old.product_code, old.priority, request, secrets
    )


def _changed(request: RunRequest, priority: int, secrets: dict[str, str], changes: RunChanges) -> NewRun:
    """Return an earlier request as a new one with changes."""
    if (changes.image_path is None) != (changes.image_type is None):
        raise InvalidFieldError("imageType", changes.image_type, "missing", "imagePath and imageType belong together; give both.")
    before = {name: value for name, value in msgspec.structs.asdict(request).items() if name != "eng_full_name"}
    given = {name: value for name, value in msgspec.structs.asdict(changes).items() if value is not None}
    if changes.code_digest is not None:
        before |= {"git_commit": None, "git_modified": None}
    merged = {"priority": priority} | before | given
    merged["envs"] = {**request.envs, **secrets, **(changes.envs or {})}
    merged["secret_envs"] = [*secrets, *(changes.secret_envs or ())]
    return NewRun(**merged)


def _check_possible(launcher: Launcher, spec: RunSpec, n_accounts: int) -> None:
    machine = launcher.machine
    refusal = None if machine.isolation is None else machine.isolation.refusal(n_accounts)
    if refusal is not None:
        raise ShortageError(refusal)
    lacking = [schedule.missing(spec, machine.capacity, machine.gpus)]
    if machine.capacity is not None:  # an engine that queues for itself knows no limits of ours
        lacking.append(schedule.beyond_limit(spec, schedule.Limits(max_gpus=launcher.settings.project_max_gpus)))
    short = [each for each in lacking if each]
    if short:
        raise ShortageError(f"The run could not start even if nothing else ran; it needs {' and '.join(short)}.", short)


def _network(launcher: Launcher, n_accounts: int) -> str:
    wanted, isolation = launcher.settings.run_network, launcher.machine.isolation
    if isolation is None:  # an engine that keeps commands apart for itself
        return "host" if wanted == "auto" else wanted
    return isolation.network(wanted, n_accounts)


def _git_variables(new: NewRun) -> dict[str, str]:
    if not new.git_commit:
        return {}
    modified = {} if new.git_modified is None else {"NSML_GIT_MODIFIED": str(new.git_modified).lower()}
    return {"NSML_GIT_COMMIT": new.git_commit, **modified}


def _spec(
    settings: Settings, project: Project, product: Product, new: NewRun, image: Image, variables: dict[str, str], network: str
) -> RunSpec:
    timeouts = [limit for limit in (new.timeout_seconds, settings.run_timeout_s) if limit]
    output_limit = settings.run_output_limit_bytes
    return RunSpec(
        command=(),
        n_nodes=new.node_count,
        n_cores=product.n_cores,
        memory_mib=product.memory_mib,
        n_gpus=product.n_gpus,
        gpu_model=product.gpu_model,
        environment=variables,
        timeout_s=min(timeouts) if timeouts else None,
        grace_s=settings.stop_grace_s,
        log_limit_bytes=min(new.log_limit_bytes or settings.log_limit_bytes, settings.log_limit_bytes),
        workload=Workload(
            script=new.command or "" if product.use_type == "TRAIN" else None,
            image=image,
            project_id=project.id,
            project_name=project.name,
            run_name="",
            volumes=tuple(MountedVolume(number) for number in new.block_storage_no_list or ()),
            code_digest=new.code_digest or "",
            code_limit_bytes=settings.max_code_unpacked_bytes,
            scratch_limit_bytes=settings.run_scratch_limit_bytes,
            output_limit_bytes=min(new.output_limit_bytes or output_limit, output_limit),
            max_processes=settings.run_max_processes,
            log_limit_action=settings.log_limit_action,
            start_timeout_s=settings.run_start_timeout_s,
            network=network,
        ),
    )
