"""A new master key: everything that was sealed opens with it, and after the next one still does."""

from pathlib import Path

import sqlalchemy as sa

from footfall.db.images import bound_to
from footfall.db.tables import registries, runs
from footfall.offline import rotate_master_key
from nsml_service import EP, ROOT, ask_run, make_project
from service import open_service


def test_secrets_of_runs_and_repositories_open_after_two_new_keys(tmp_path: Path) -> None:
    with open_service(tmp_path / "home") as service:
        call = service.operator
        id = make_project(call)
        assert ask_run(call, id, envs={"TOKEN": "hidden"}).status == 201
        body = {"privateEp": EP, "accessKey": "a", "secretKey": "0123456789abcdef"}
        assert call.post(f"{ROOT}/images/secret", body, x_idempotency_key="k").status == 201
        for _ in range(3):
            assert rotate_master_key(service.settings) == 1
        secrets = service.context.secrets
        with service.database.read() as connection:
            run_id, sealed = connection.execute(sa.select(runs.c.id, runs.c.sealed)).one()
            assert secrets.open(sealed, run_id) == b'{"TOKEN": "hidden"}'
            login = connection.execute(sa.select(registries.c.secret)).scalar_one()
            assert secrets.open(login, bound_to(call.account_id, EP)) == b"0123456789abcdef"
        assert call.post(f"{ROOT}/projects/{id}/runs/1/restart").status == 201
        assert call.post(f"{ROOT}/images/secret", body, x_idempotency_key="k").status == 201
