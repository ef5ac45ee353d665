"""What a role allows, operation by operation; that a refusal is remembered; that nobody gets another's first answer."""

import pytest

from footfall.api.auth import check_role
from footfall.api.http.errors import GatewayError
from footfall.api.http.operations import PERMISSIONS, Operation, Permission
from footfall.api.table import OPERATIONS
from footfall.records import Caller as CallerRecord
from service import Service

REPLAYED = "This request was already received."
DENIED = (401, "10100", "ACCESS_DENIED")
FORBIDDEN = (403, "230", "Forbidden")
FEATURE = {"name": "n", "source_bucket": "shop", "source_file_path": "seq.csv"}
RULE: dict[Permission, tuple[str, ...]] = {  # who may, of those below
    "nobody": ("nothing", "viewer", "manager", "other", "owner"),
    "key": ("nothing", "viewer", "manager", "other", "owner"),
    "member": ("viewer", "manager", "other", "owner"),
    "viewer": ("viewer", "manager", "owner"),
    "manager": ("manager", "owner"),
    "nsml_viewer": ("manager", "other", "owner"),
    "nsml_manager": ("other", "owner"),
    "owner": ("owner",),
}
ROLES = {
    "nothing": {"nclue": "NONE", "nsml": "NONE"},
    "viewer": {"nclue": "VIEWER", "nsml": "NONE"},
    "manager": {"nclue": "MANAGER", "nsml": "VIEWER"},
    "other": {"nclue": "NONE", "nsml": "MANAGER"},
    "owner": {"nclue": "MANAGER", "nsml": "MANAGER"},
}


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda o: o.id)
def test_an_operation_is_for_those_whom_its_need_names(operation: Operation) -> None:
    assert operation.permission in PERMISSIONS
    for name, roles in ROLES.items():
        caller = CallerRecord("account", "user", "key", roles)
        if name in RULE[operation.permission]:
            check_role(operation, caller)
        else:
            with pytest.raises(GatewayError):
                check_role(operation, caller)


def test_what_is_nclues_needs_its_roles_and_data_goes_with_it() -> None:
    for operation in OPERATIONS:
        if operation.service in ("nclue", "data"):
            assert operation.permission == ("viewer" if operation.method in ("GET", "HEAD") else "manager")
        if operation.service == "nsml":
            assert operation.permission == ("nsml_viewer" if operation.method == "GET" else "nsml_manager")
    assert {o.id for o in OPERATIONS if o.permission == "key"} == {"list_keys"}


def test_without_a_role_there_is_nothing_but_the_own_keys(shared: Service) -> None:
    nobody = shared.user(shared.operator, "nobody")
    assert [key["access_key"] for key in nobody.get("/accounts/v1/keys").json["keys"]] == [nobody.access_key]
    for method, path, refused in (
        ("GET", "/api/v1/features", DENIED),
        ("POST", "/api/v1/features", DENIED),
        ("GET", "/data/v1/shop", FORBIDDEN),
        ("GET", "/data/v1/shop/seq.csv", FORBIDDEN),
        ("PUT", "/data/v1/shop/x", FORBIDDEN),
        ("POST", "/accounts/v1/keys", FORBIDDEN),
        ("GET", "/accounts/v1/users", FORBIDDEN),
        ("GET", "/accounts/v1/buckets", FORBIDDEN),
        ("POST", "/accounts/v1/buckets", FORBIDDEN),
    ):
        assert nobody(method, path, b"{}" if method != "GET" else None).error == refused


def test_a_manager_of_another_service_does_not_reach_the_data(shared: Service) -> None:
    other = shared.user(shared.operator, "other", nsml="MANAGER")
    assert other.get("/data/v1/shop/seq.csv").error == FORBIDDEN
    assert other.put("shop", "x", b"x").error == FORBIDDEN
    assert other("DELETE", "/data/v1/shop/seq.csv").error == FORBIDDEN
    assert other.get("/accounts/v1/users").status == 200


def test_row_04_a_request_that_a_role_refused_is_remembered(service: Service) -> None:
    call = service.operator
    call.put("shop", "seq.csv", b"u1\ta\n")
    user = service.user(call, "user", nclue="VIEWER")
    requests = (("POST", "/api/v1/features", FEATURE), ("PUT", "/data/v1/shop/x", b"x"), ("PUT", "/data/v1/shop/y", b""))
    signed = [user.signed(method, path) for method, path, _ in requests]
    for (method, path, body), headers in zip(requests, signed, strict=True):
        assert user(method, path, body, headers=headers).status in (401, 403)
    call("PUT", f"/accounts/v1/users/{user.user_id}/roles", {"nclue": "MANAGER"})
    for (method, path, body), headers in zip(requests, signed, strict=True):
        assert user(method, path, body, headers=headers).details == REPLAYED
        assert user(method, path, body).status == 200


def test_row_04_an_upload_without_a_grant_is_remembered_whatever_its_body(service: Service) -> None:
    owner, guest = service.operator, service.account("guest")
    owner.put("shop", "seq.csv", b"u1\ta\n")
    headers = guest.signed("PUT", "/data/v1/shop/x")
    assert guest("PUT", "/data/v1/shop/x", b"one", headers=headers).status == 404
    owner.post("/accounts/v1/buckets/shop/grants", {"account_id": "guest"})
    for body in (b"one", b"two"):
        assert guest("PUT", "/data/v1/shop/x", body, headers=headers).details == REPLAYED
    assert owner.get("/data/v1/shop/x").status == 404


def test_an_idempotency_key_is_its_users_own(service: Service) -> None:
    call, body = service.operator, {"name": "team"}
    first = call.post("/accounts/v1/accounts", body, x_idempotency_key="k")
    assert first.json["secret_key"]
    viewer = service.user(call, "viewer", nclue="VIEWER")
    assert viewer.post("/accounts/v1/accounts", body, x_idempotency_key="k").error == FORBIDDEN
    colleague = service.user(call, "colleague", nclue="MANAGER", nsml="MANAGER")
    assert colleague.post("/accounts/v1/accounts", body, x_idempotency_key="k").error[1] == "10102"
    assert call.post("/accounts/v1/accounts", body, x_idempotency_key="k").body == first.body


def test_a_role_that_was_taken_away_gives_no_first_answer(service: Service) -> None:
    call = service.operator
    colleague = service.user(call, "colleague", nclue="MANAGER", nsml="MANAGER")
    assert colleague.post("/accounts/v1/accounts", {"name": "team"}, x_idempotency_key="k").status == 200
    call("PUT", f"/accounts/v1/users/{colleague.user_id}/roles", {"nsml": "VIEWER"})
    assert colleague.post("/accounts/v1/accounts", {"name": "team"}, x_idempotency_key="k").error == FORBIDDEN
