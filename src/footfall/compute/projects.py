"""Create, resize and delete projects. Knows no HTTP; each function works in the caller's transaction.

A project is gone in two steps: it is closed here, and the housekeeping of the reconciler removes its files and then calls
``db.projects.finish_delete``.
"""

from footfall.compute import rules
from footfall.db import projects
from footfall.db.engine.engine import Connection
from footfall.errors import AlreadyExistsError, NotFoundError, WrongStateError
from footfall.records import Caller, Project
from footfall.states import ProjectStatus


def check_new(connection: Connection, caller: Caller, *, name: str, note: str, nas_gb: int) -> None:
    """Refuse a project that cannot be made.

    Raises:
        InvalidFieldError: a field breaks a rule.
        AlreadyExistsError: the account has a project of this name.
    """
    rules.check_project_name(name)
    rules.check_nas_size(nas_gb)
    rules.check_note(note)
    status = projects.status_by_name(connection, caller.account_id, name)
    if status == ProjectStatus.DELETING:
        details = f"The project {name!r} is still being deleted. Its name is free when its files are gone: try again in a minute."
        raise AlreadyExistsError("project", name, details)
    if status is not None:
        raise AlreadyExistsError("project", name)


def create(tx: Connection, caller: Caller, *, name: str, note: str, nas_gb: int, limit: int) -> Project:
    """Make a project that ``check_new`` found in order.

    Raises:
        AlreadyExistsError: the name was taken meanwhile.
        QuotaExceededError: the account has ``limit`` already.
    """
    id = projects.new_project_id()
    projects.insert(
        tx, account_id=caller.account_id, user_id=caller.user_id, id=id, name=name, note=note, nas_gb=nas_gb, limit=limit
    )
    return projects.get(tx, caller.account_id, id)


def resize(tx: Connection, caller: Caller, id: str, nas_gb: int) -> Project:
    """Record a larger size of a project's storage; the same size again changes nothing.

    Raises:
        NotFoundError: the account has no such project.
        WrongStateError: it is not open, or the size is smaller than it was.
    """
    project = get_open(tx, caller, id)
    if nas_gb < project.nas_gb:
        details = f"The storage of project {id} has {project.nas_gb} GB; it can only grow. Give at least that."
        raise WrongStateError("project", id, project.status, (ProjectStatus.CREATED,), details)
    if nas_gb > project.nas_gb:
        projects.set_nas(tx, id, nas_gb)
    return projects.get(tx, caller.account_id, id)


def delete(tx: Connection, caller: Caller, id: str) -> Project:
    """Close a project for good; housekeeping removes what is in it. Again on a closing one, it changes nothing.

    Raises:
        NotFoundError: the account has no such project, or it is gone.
        WrongStateError: runs of it have not ended.
    """
    project = get_present(tx, caller, id)
    if project.status == ProjectStatus.DELETING:
        return project
    # Closed before it is asked for runs: with PostgreSQL a run that is being made sees one of the two.
    if not projects.begin_delete(tx, caller.account_id, id):
        raise WrongStateError("project", id, project.status, (ProjectStatus.CREATED,))
    live = projects.live_runs(tx, id)
    if live:
        names = ", ".join(str(number) for number in live[:9]) + (" and more" if len(live) > 9 else "")
        details = f"Runs of project {id} have not ended: {names}. Stop them, or wait until they end."
        raise WrongStateError("project", id, "in use", (ProjectStatus.CREATED,), details)
    return projects.get(tx, caller.account_id, id)


def get_present(connection: Connection, caller: Caller, id: str) -> Project:
    """Return a project of users that is not gone.

    Raises:
        NotFoundError: the account has none of this id, or it was deleted.
        WrongStateError: it is the system's.
    """
    project = projects.get(connection, caller.account_id, id)
    if project.is_system:
        details = f"The project {id} holds the runs of features and tasks; it changes with those alone."
        raise WrongStateError("project", id, "of the system", ("of users",), details)
    if project.status == ProjectStatus.DELETED:
        raise NotFoundError("project", id)
    return project


def get_open(connection: Connection, caller: Caller, id: str) -> Project:
    """Return a project of users in which things may be made and changed.

    Raises:
        NotFoundError: the account has none of this id, or it was deleted.
        WrongStateError: it is the system's, or is being deleted.
    """
    project = get_present(connection, caller, id)
    if project.status != ProjectStatus.CREATED:
        raise WrongStateError("project", id, project.status, (ProjectStatus.CREATED,))
    return project
