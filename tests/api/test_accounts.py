"""Accounts, users, keys, API keys and buckets over HTTP."""

import pytest
import sqlalchemy as sa

from footfall.db import tables
from footfall.db.access import accounts, api_keys
from footfall.db.engine.encryption import Secrets
from footfall.errors import NotFoundError
from footfall.offline import rotate_master_key
from footfall.records import AccessKey
from service import Caller, Service

FORBIDDEN = (403, "230", "Forbidden")


def test_an_operator_makes_an_account_whose_first_user_can_work(service: Service) -> None:
    made = service.operator.post("/accounts/v1/accounts", {"name": "team"}).json
    team = Caller(service.port, made["access_key"], made["secret_key"])
    assert team.get("/api/v1/features").json["total"] == 0
    assert team.put("team-data", "a.csv", b"u\ta\n").status == 200
    body = {"name": "f", "source_bucket": "team-data", "source_file_path": "a.csv"}
    assert team.post("/api/v1/features", body).status == 200
    assert service.operator.post("/accounts/v1/accounts", {"name": "team"}).error[1] == "10102"


def test_users_have_names_and_roles(service: Service) -> None:
    call = service.operator
    made = call.post("/accounts/v1/users", {"name": "ann", "roles": {"nclue": "VIEWER"}}).json
    assert made["roles"] == {"nclue": "VIEWER", "nsml": "NONE"}
    assert call.post("/accounts/v1/users", {"name": "ann"}).error == (409, "10102", "DUPLICATE_NAME")
    assert call.post("/accounts/v1/users", {"name": "bob", "roles": {"nclue": "BOSS"}}).error[1] == "10200"
    assert [user["user_name"] for user in call.get("/accounts/v1/users").json["users"]] == ["admin", "ann"]
    changed = call("PUT", f"/accounts/v1/users/{made['user_id']}/roles", {"nsml": "MANAGER"}).json
    assert changed["roles"] == {"nclue": "VIEWER", "nsml": "MANAGER"}
    assert call("DELETE", f"/accounts/v1/users/{made['user_id']}").json == {"user_id": made["user_id"]}
    assert call.post("/accounts/v1/users", {"name": "ann"}).status == 200


def test_an_account_keeps_a_manager(service: Service) -> None:
    call = service.operator
    own = f"/accounts/v1/users/{call.user_id}"
    assert call("DELETE", own).error == (409, "10202", "RESOURCE_IN_USE")
    assert call("PUT", own + "/roles", {"nclue": "NONE"}).error == (409, "10202", "RESOURCE_IN_USE")
    assert call.get("/api/v1/features").status == 200


def test_an_account_keeps_a_manager_who_has_an_active_key(service: Service) -> None:
    call = service.operator
    service.user(call, "viewer", nclue="VIEWER")
    own = f"/accounts/v1/keys/{call.access_key}"
    refused = call.post(own + "/stop")
    assert refused.error == (409, "10202", "RESOURCE_IN_USE")
    assert refused.details.endswith("Give another user these roles and a key first.")
    made = call.post("/accounts/v1/users", {"name": "second", "roles": {"nclue": "MANAGER", "nsml": "MANAGER"}}).json
    for request in (
        ("POST", own + "/stop"),
        ("PUT", f"/accounts/v1/users/{call.user_id}/roles", {"nsml": "NONE"}),
        ("DELETE", f"/accounts/v1/users/{call.user_id}"),
    ):
        assert call(*request).error == (409, "10202", "RESOURCE_IN_USE")  # the second manager has no key
    assert call.get("/api/v1/features").status == 200
    key = call.post("/accounts/v1/keys", {"user_id": made["user_id"]}).json
    assert call.post(own + "/stop").json["is_active"] is False
    second = Caller(service.port, key["access_key"], key["secret_key"])
    assert second.post(f"/accounts/v1/keys/{key['access_key']}/stop").error[1] == "10202"
    assert second.post(own + "/start").status == 200


def make_key(service: Service, account_name: str | None = None) -> AccessKey:
    with service.database.write() as tx:
        return accounts.make_manager_key(tx, service.context.secrets, account_name)


def test_a_key_is_made_offline_for_who_has_none_that_works(service: Service) -> None:
    call = service.operator
    stopped = call.post("/accounts/v1/keys", {}).json["access_key"]
    assert call.post(f"/accounts/v1/keys/{stopped}/stop").status == 200
    made = make_key(service)
    assert made.secret_key
    assert Caller(service.port, made.id, made.secret_key).get("/accounts/v1/accounts").status == 200
    assert [key["access_key"] for key in call.get("/accounts/v1/keys").json["keys"]] == [call.access_key, made.id]
    third = make_key(service)
    assert len(call.get("/accounts/v1/keys").json["keys"]) == 3
    assert call.get("/api/v1/features").status == 200
    assert third.user_id == call.user_id
    other = service.account("other")
    assert make_key(service, "other").user_id == other.user_id
    with pytest.raises(NotFoundError):
        make_key(service, "nobody")


def test_a_user_has_at_most_two_keys_and_only_a_stopped_one_is_deleted(service: Service) -> None:
    call = service.operator
    made = call.post("/accounts/v1/keys", {}).json
    second = Caller(service.port, made["access_key"], made["secret_key"])
    assert second.get("/api/v1/features").status == 200
    assert call.post("/accounts/v1/keys", {}).error == (409, "10208", "LIMIT_REACHED")
    one = f"/accounts/v1/keys/{second.access_key}"
    assert call("DELETE", one).error == (409, "10202", "RESOURCE_IN_USE")
    assert call.post(one + "/stop").json["is_active"] is False
    assert second.get("/api/v1/features").status == 401
    assert call("DELETE", one).json == {"access_key": second.access_key}
    listed = call.get("/accounts/v1/keys").json["keys"]
    assert [key["access_key"] for key in listed] == [call.access_key]
    assert "secret_key" not in listed[0]


def test_somebody_who_does_not_manage_sees_and_changes_own_keys_alone(service: Service) -> None:
    call = service.operator
    viewer = service.user(call, "viewer", nclue="VIEWER")
    assert [key["access_key"] for key in viewer.get("/accounts/v1/keys").json["keys"]] == [viewer.access_key]
    assert viewer.post("/accounts/v1/keys", {}).status == 200
    assert viewer.post("/accounts/v1/keys", {"user_id": call.user_id}).error == FORBIDDEN
    assert viewer.post(f"/accounts/v1/keys/{call.access_key}/stop").error == FORBIDDEN
    for path, body in (("users", {"name": "x"}), ("api-keys", {"name": "x"}), ("buckets", {"name": "xxx"})):
        assert viewer.post(f"/accounts/v1/{path}", body).error == FORBIDDEN


def test_api_keys_have_two_values_made_anew_one_at_a_time(service: Service) -> None:
    call = service.operator
    made = call.post("/accounts/v1/api-keys", {"name": "ci"}).json
    one = f"/accounts/v1/api-keys/{made['api_key_id']}"

    other = service.account("other")

    def is_good(value: str) -> bool:
        with service.database.read() as connection:
            assert not api_keys.has_api_key(connection, other.account_id, value.encode())
            return api_keys.has_api_key(connection, call.account_id, value.encode())

    assert is_good(made["primary_key"])
    assert is_good(made["secondary_key"])
    fresh = call.post(one + "/reissue", {"which": "primary"}).json
    assert fresh["secondary_key"] is None
    assert not is_good(made["primary_key"])
    assert is_good(fresh["primary_key"])
    assert is_good(made["secondary_key"])
    assert call.post(one + "/disable").json["is_enabled"] is False
    assert not is_good(fresh["primary_key"])
    assert call.post(one + "/enable").json["is_enabled"] is True
    assert "primary_key" not in call.get("/accounts/v1/api-keys").json["api_keys"][0]
    assert call("DELETE", one).status == 200
    assert call.post("/accounts/v1/api-keys", {"name": "x" * 21}).error[1] == "10101"


def test_a_bucket_is_made_granted_revoked_and_deleted_when_empty(service: Service) -> None:
    call, other = service.operator, service.account("other")
    assert call.post("/accounts/v1/buckets", {"name": "data"}).json["granted_to"] == []
    call.put("data", "a.csv", b"u\ta\n")
    body = {"name": "f", "source_bucket": "data", "source_file_path": "a.csv"}
    assert other.post("/api/v1/features", body).error[1] == "10106"
    assert call.post("/accounts/v1/buckets/data/grants", {"account_id": "other"}).json["granted_to"] == [other.account_id]
    feature_id = other.post("/api/v1/features", body).json["feature_id"]
    assert other.put("data", "b.csv", b"x").status == 200
    assert [b["name"] for b in other.get("/accounts/v1/buckets").json["buckets"]] == ["data"]
    assert other("DELETE", "/accounts/v1/buckets/data").error[1] == "10201"
    assert call("DELETE", f"/accounts/v1/buckets/data/grants/{other.account_id}").json["granted_to"] == []
    assert other.get("/data/v1/data/a.csv").error[1] == "10106"
    assert call("DELETE", "/accounts/v1/buckets/data").error == (409, "10202", "RESOURCE_IN_USE")
    for key in ("a.csv", "b.csv"):
        assert call("DELETE", f"/data/v1/data/{key}").status == 200
    used = call("DELETE", "/accounts/v1/buckets/data")
    assert used.error == (409, "10202", "RESOURCE_IN_USE")
    assert "a feature of another account" in used.details
    assert other.post(f"/api/v1/features/{feature_id}/cancel").status == 200
    assert call("DELETE", "/accounts/v1/buckets/data").json == {"name": "data"}
    assert other.post("/accounts/v1/buckets", {"name": "data"}).status == 200


@pytest.mark.parametrize("name", ["ab", "A" * 5, "a_b", "1.2.3.4", "a..b", "-ab", "x" * 64, ""])
def test_a_bucket_name_has_a_rule(service: Service, name: str) -> None:
    assert service.operator.post("/accounts/v1/buckets", {"name": name}).error == (422, "10200", "INVALID_REQUEST")


def test_what_lies_in_the_store_already_is_taken_by_an_operator_only(service: Service) -> None:
    found = service.settings.data_dir / "buckets" / "found"
    found.mkdir(parents=True)
    (found / "x").write_bytes(b"x")
    other = service.account("other")
    assert other.post("/accounts/v1/buckets", {"name": "found"}).error[1] == "10102"
    assert other.put("found", "y", b"y").status == 404
    assert service.operator.post("/accounts/v1/buckets", {"name": "found"}).status == 200


def test_row_01_a_copy_of_the_database_holds_no_secret(service: Service) -> None:
    call = service.operator
    key = call.post("/accounts/v1/keys", {}, x_idempotency_key="k").json
    api_key = call.post("/accounts/v1/api-keys", {"name": "k"}, x_idempotency_key="l").json
    secrets = [call.secret_key, key["secret_key"], api_key["primary_key"], api_key["secondary_key"]]
    files = [path for path in service.settings.data_dir.rglob("*") if path.is_file()]
    assert any(path.name.endswith("-wal") for path in files)
    for path in files:
        content = path.read_bytes()
        for secret in secrets:
            assert secret.encode() not in content
    assert call.post("/accounts/v1/keys", {}, x_idempotency_key="k").json == key


def test_row_01_the_master_key_is_rotated_twice_under_a_running_server(service: Service) -> None:
    call = service.operator
    for _ in range(2):
        assert rotate_master_key(service.settings).n_access_keys == 1
        assert call.get("/api/v1/features").status == 200


def test_row_03_a_key_whose_secret_does_not_open_is_as_one_that_nobody_has(service: Service) -> None:
    made = service.operator.post("/accounts/v1/keys", {}).json
    nobody = Caller(service.port, "ff" + "A" * 18, made["secret_key"]).get("/api/v1/features")
    with service.database.write() as tx:
        table = tables.access_keys
        tx.execute(sa.update(table).where(table.c.id == made["access_key"]).values(secret=b"lost" + bytes(60)))
    lost = Caller(service.port, made["access_key"], made["secret_key"]).get("/api/v1/features")
    assert (lost.status, lost.error) == (nobody.status, nobody.error) == (401, nobody.error)


def test_row_01_a_server_makes_keys_after_a_rotation_by_another_process(service: Service) -> None:
    rotate_master_key(service.settings)
    made = service.operator.post("/accounts/v1/keys", {}).json
    fresh = Secrets(service.settings.key_file)
    with service.database.read() as connection:
        signer = accounts.find_signer(connection, made["access_key"])
    assert signer is not None
    assert fresh.open(signer.secret, made["access_key"]).decode() == made["secret_key"]
