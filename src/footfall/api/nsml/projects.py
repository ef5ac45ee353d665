"""``/nsml/v1/projects``: projects and their storage."""

from typing import Any

from footfall.api.http.errors import NSML_NOT_ACCEPTED, NSML_NOT_FOUND
from footfall.api.http.operations import Operation
from footfall.api.nsml.operations import ROOT, created, operation, page_of, stamp
from footfall.api.request import Mutation, Request
from footfall.compute import projects as rules
from footfall.compute.rules import check_nas_size
from footfall.contract import nsml as shapes
from footfall.contract.queries import ProjectQuery, ProjectsQuery
from footfall.db import projects
from footfall.db.engine.engine import Connection
from footfall.errors import NotFoundError
from footfall.layout import nas_dir
from footfall.records import Project


def post_project(request: Request) -> Mutation:
    """Make a project."""
    new: shapes.NewProject = request.fields
    context, caller = request.context, request.caller
    fields: dict[str, Any] = {"name": new.project_name, "note": new.note or "", "nas_gb": new.nas_volume_size}
    with context.database.read() as connection:
        rules.check_new(connection, caller, **fields)

    def apply(tx: Connection) -> Any:
        project = rules.create(tx, caller, **fields, limit=context.settings.max_resources)
        return created(project_body(project), f"{ROOT}/projects/{project.id}")

    return Mutation(apply)


def list_projects(request: Request) -> shapes.ProjectList:
    """Return a page of projects."""
    query = request.read_query(ProjectsQuery)
    page, page_size = page_of(query)
    is_internal = query.internal == "true"
    with request.context.database.read() as connection:
        rows = projects.page(connection, request.caller.account_id, is_internal=is_internal, page=page, page_size=page_size)
    return shapes.ProjectList([_item(project) for project in rows.items], rows.total)


def get_project(request: Request) -> shapes.ProjectBody:
    """Return a project; one that was deleted a while ago says so."""
    id, is_internal = request.params["projectId"], request.read_query(ProjectQuery).internal == "true"
    with request.context.database.read() as connection:
        project = projects.get(connection, request.caller.account_id, id)
    if project.is_system and not is_internal:
        raise NotFoundError("project", id)
    return project_body(project)


def remove_project(request: Request) -> Mutation:
    """Delete a project and everything in it."""
    caller, id = request.caller, request.params["projectId"]
    return Mutation(lambda tx: project_body(rules.delete(tx, caller, id)))


def get_nas(request: Request) -> shapes.NasBody:
    """Return the storage of a project."""
    with request.context.database.read() as connection:
        project = rules.get_present(connection, request.caller, request.params["projectId"])
    return _nas_body(request, project)


def patch_nas(request: Request) -> Mutation:
    """Record another size of a project's storage."""
    size: int = request.fields.nas_volume_size
    check_nas_size(size)
    caller, id = request.caller, request.params["projectId"]
    return Mutation(lambda tx: _nas_body(request, rules.resize(tx, caller, id, size), is_counted=False))


def project_body(project: Project) -> shapes.ProjectBody:
    """Return what GET shows of a project."""
    return shapes.ProjectBody(
        project_id=project.id,
        project_name=project.name,
        status=project.status,  # type: ignore[arg-type]
        note=project.note,
        run_count=project.n_runs,
        nas_volume_size=project.nas_gb,
        created_date=stamp(project.created_at),
        updated_date=stamp(project.updated_at),
        node_count=project.n_nodes,
    )


def _item(project: Project) -> shapes.ProjectItem:
    return shapes.ProjectItem(
        project_id=project.id,
        vpc_no=0,
        project_name=project.name,
        status=project.status,  # type: ignore[arg-type]
        user_no=project.user_number,
        run_count=project.n_runs,
        node_count=project.n_nodes,
        created_date=stamp(project.created_at),
        updated_date=stamp(project.updated_at),
    )


def _nas_body(request: Request, project: Project, *, is_counted: bool = True) -> shapes.NasBody:
    settings, sizes = request.context.settings, request.context.used_sizes
    directory = settings.data_dir / nas_dir(project.id)
    made_at, changed_at = stamp(project.created_at), stamp(project.updated_at)
    return shapes.NasBody(
        project_id=project.id,
        nas_volume_instance_no=int(project.id, 36) % (1 << 31),  # as large as the smallest integer of any client
        nas_ip=settings.host,
        nas_path=f"/n{project.user_number or 0}_{project.id}",
        nas_volume_size=project.nas_gb,
        created_date=made_at,
        updated_date=changed_at,
        create_date=made_at,
        update_date=changed_at,
        used_size=sizes.of(directory) if is_counted else sizes.last(directory),
    )


_ONE = "/projects/{projectId}"
_DOCUMENTED: dict[str, Any] = {"is_documented": True}

OPERATIONS: tuple[Operation, ...] = (
    operation(
        "create_project", "POST", "/projects", "Create a project.", post_project, request=shapes.NewProject,
        response=shapes.ProjectBody, status=201, creates=True, has_own_answer=True, **_DOCUMENTED,
    ),
    operation(
        "list_projects", "GET", "/projects", "List projects, newest first.", list_projects, response=shapes.ProjectList,
        query=ProjectsQuery, **_DOCUMENTED,
    ),
    operation(
        "get_project", "GET", _ONE, "Get a project.", get_project, response=shapes.ProjectBody, query=ProjectQuery,
        is_quick=True, **_DOCUMENTED,
    ),
    operation(
        "delete_project", "DELETE", _ONE, "Delete a project and everything in it.", remove_project,
        response=shapes.ProjectBody, wakes=True, has_own_answer=True, **_DOCUMENTED,
    ),
    operation(
        "get_nas", "GET", f"{_ONE}/nas", "Get the storage of a project.", get_nas, response=shapes.NasBody,
        errors=(NSML_NOT_FOUND, NSML_NOT_ACCEPTED), **_DOCUMENTED,
    ),
    operation(
        "resize_nas", "PATCH", f"{_ONE}/nas", "Change the size of a project's storage.", patch_nas,
        request=shapes.NewNasSize, response=shapes.NasBody, has_own_answer=True, **_DOCUMENTED,
    ),
)  # fmt: skip
