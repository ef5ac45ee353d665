"""Who may call: signatures, replay, canonical paths, headers given twice, rates."""

import socket
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from footfall import signing
from footfall.api.http.rate_limit import TokenBuckets
from service import Caller, Service, make_feature, now_ms, open_service, raw, send, serve

MISSING = "Authentication information are missing."
INVALID = "Invalid authentication information."
REPLAYED = "This request was already received."
FAILED = (401, "200", "Authentication Failed")
FEATURE = {"name": "n", "source_bucket": "shop", "source_file_path": "seq.csv"}


def test_every_answer_has_a_trace_id_of_its_own(shared: Service) -> None:
    call = shared.operator
    replies = [call.get("/api/v1/features"), call.get("/nowhere"), call.get("/healthz"), call("PATCH", "/healthz")]
    replies.append(send(shared.port, "GET", "/api/v1/features", None, {}))
    assert len({reply.headers["x-ncp-trace-id"] for reply in replies}) == len(replies)


@pytest.mark.parametrize("left_out", [*range(3), None])
def test_a_missing_header_says_so(shared: Service, left_out: int | None) -> None:
    headers = shared.operator.signed("GET", "/api/v1/features")
    names = list(headers)
    for name in names if left_out is None else names[left_out : left_out + 1]:
        del headers[name]
    reply = send(shared.port, "GET", "/api/v1/features", None, headers)
    assert (reply.error, reply.details) == (FAILED, MISSING)


def test_row_03_an_unknown_key_and_a_wrong_signature_look_the_same(shared: Service) -> None:
    target = "/api/v1/features"
    unknown = Caller(shared.port, "ffNOBODY", "x" * 40)
    wrong = Caller(shared.port, shared.operator.access_key, "x" * 40)
    times: dict[str, list[float]] = {"unknown": [], "wrong": []}
    bodies = set()
    for _ in range(15):
        for name, caller in (("unknown", unknown), ("wrong", wrong)):
            start = time.perf_counter()
            reply = caller.get(target)
            times[name].append(time.perf_counter() - start)
            bodies.add((reply.status, reply.body))
    assert len(bodies) == 1
    assert INVALID.encode() in bodies.pop()[1]
    assert abs(statistics.median(times["unknown"]) - statistics.median(times["wrong"])) < 0.02


def test_a_stopped_key_and_a_deleted_user_sign_nothing(service: Service) -> None:
    call = service.operator
    robot = service.user(call, "robot", nclue="MANAGER")
    assert robot.get("/api/v1/features").status == 200
    assert call.post(f"/accounts/v1/keys/{robot.access_key}/stop").status == 200
    reply = robot.get("/api/v1/features")
    assert (reply.error, reply.details) == (FAILED, INVALID)
    assert call.post(f"/accounts/v1/keys/{robot.access_key}/start").status == 200
    assert robot.get("/api/v1/features").status == 200
    assert call("DELETE", f"/accounts/v1/users/{robot.user_id}").status == 200
    assert robot.get("/api/v1/features").error == FAILED


def test_the_first_signature_header_is_an_alias_and_the_second_wins(shared: Service) -> None:
    target = "/api/v1/features"
    headers = shared.operator.signed("GET", target)
    good = headers.pop(signing.SIGNATURE_HEADER)
    v1, v2 = signing.SIGNATURE_V1_HEADER, signing.SIGNATURE_HEADER
    for extra, status in (({v1: good}, 200), ({v1: "x", v2: good}, 200), ({v1: good, v2: "x" * 44}, 401)):
        assert send(shared.port, "GET", target, None, headers | extra).status == status


def test_header_names_have_no_case(shared: Service) -> None:
    headers = {name.upper(): value for name, value in shared.operator.signed("GET", "/api/v1/features").items()}
    assert send(shared.port, "GET", "/api/v1/features", None, headers).status == 200


@pytest.mark.parametrize(
    ("sent", "signed", "status"),
    [
        ("/api/v1/features?index=0", "/api/v1/features?index=0", 200),
        ("/api/v1/features?index=0&limit=1", "/api/v1/features?limit=1&index=0", 401),
        ("/api/v1/features", "/api/v1/features?", 200),
        ("/api/v1/features?", "/api/v1/features", 200),
        ("/api/v1/features?x=%2f", "/api/v1/features?x=%2F", 401),
        ("/api/v1/features?x=a+b", "/api/v1/features?x=a%20b", 401),
        ("/api/v1/%66eatures", "/api/v1/%66eatures", 200),
        ("/api/v1/%66eatures", "/api/v1/features", 401),
        ("/api/v1/features?x=%ED%95%9C", "/api/v1/features?x=한", 401),
        ("/api/v1/features?query1=&query2", "/api/v1/features?query1=&query2", 200),
    ],
)
def test_row_07_the_very_bytes_of_the_target_are_signed(shared: Service, sent: str, signed: str, status: int) -> None:
    reply = shared.operator("GET", sent, headers=shared.operator.signed("GET", signed))
    assert reply.status == status


@pytest.mark.parametrize(
    "target",
    [
        "/api/v1//features",
        "//api/v1/features",
        "/api/v1/features/",
        "/api/v1/./features",
        "/api/v1/x/../features",
        "/api/v1/%2e%2e/v1/features",
        "/api%2Fv1/features",
        "/api/v1/features/a%2Fb",
        "/api/v1/features/a%00b",
        "/api/v1/features;x=1",
        "/API/v1/features",
        "/api/v1/features/%E2%80%A8",
        "/data/v1/shop/a//b",
        "/data/v1/shop/../x",
        "/data/v1/shop/%2e%2e/x",
        "/data/v1/shop/a%2Fb",
        "/",
        "/accounts/v1",
    ],
)
def test_row_07_a_path_of_another_form_is_no_route(shared: Service, target: str) -> None:
    assert shared.operator.get(target).error == (404, "300", "Not Found Exception")


def _request(caller: Caller, line: str, target: str, *more: str, method: str = "GET") -> bytes:
    headers = [f"{name}: {value}" for name, value in caller.signed(method, target).items()]
    return "\r\n".join([line, "host: x", "connection: close", *headers, *more, "", ""]).encode()


def test_row_07_an_absolute_target_runs_the_route_that_was_signed(shared: Service) -> None:
    target = "/api/v1/features?limit=1"
    line = f"GET http://elsewhere:99{target} HTTP/1.1"
    assert raw(shared.port, _request(shared.operator, line, target)).startswith(b"HTTP/1.1 200")
    other = _request(shared.operator, "GET http://x/api/v1/tasks HTTP/1.1", target)
    assert raw(shared.port, other).startswith(b"HTTP/1.1 401")


@pytest.mark.parametrize("header", ["x-original-url", "x-rewrite-url", "x-http-method-override", "x-forwarded-prefix"])
def test_row_07_headers_that_override_are_ignored(shared: Service, header: str) -> None:
    target = "/api/v1/tasks"
    value = "DELETE" if "method" in header else "/api/v1/features"
    reply = shared.operator("GET", target, extra={header: value})
    assert list(reply.json) == ["index", "limit", "total", "tasks"]


def test_row_07_another_method_says_which_are_there(shared: Service) -> None:
    reply = shared.operator("PATCH", "/api/v1/features")
    assert reply.error == (405, "300", "Not Found Exception")
    assert reply.headers["allow"] == "GET, POST"


@pytest.mark.parametrize(
    "name", [signing.TIMESTAMP_HEADER, signing.ACCESS_KEY_HEADER, signing.SIGNATURE_HEADER, "same-signature"]
)
def test_row_08_an_authentication_header_given_twice_is_401(shared: Service, name: str) -> None:
    target = "/api/v1/features"
    signed = shared.operator.signed("GET", target)
    again = f"{name}: x" if name in signed else f"{signing.SIGNATURE_HEADER}: {signed[signing.SIGNATURE_HEADER]}"
    headers = [f"{key}: {value}" for key, value in signed.items()]
    request = "\r\n".join([f"GET {target} HTTP/1.1", "host: x", "connection: close", *headers, again, "", ""])
    response = raw(shared.port, request.encode())
    assert response.startswith(b"HTTP/1.1 401")
    assert INVALID.encode() in response


@pytest.mark.parametrize(
    "smuggled",
    [
        ["content-length: 5", "transfer-encoding: chunked"],
        ["transfer-encoding: chunked", "content-length: 5"],
        ["content-length: 5", "content-length: 6"],
        ["x-a: b\x00c"],
        ["transfer-encoding: xchunked", "content-length: 5"],
    ],
)
def test_row_08_smuggling_reaches_no_handler(shared: Service, smuggled: list[str]) -> None:
    request = _request(shared.operator, "POST /api/v1/features HTTP/1.1", "/api/v1/features", *smuggled, method="POST")
    response = raw(shared.port, request + b"0\r\n\r\nGET /healthz HTTP/1.1\r\nhost: x\r\n\r\n", 3)
    assert response.startswith(b"HTTP/1.1 400")
    assert response.count(b"HTTP/1.1 ") == 1


@pytest.mark.parametrize(
    "change", [lambda t: f" {t}", lambda t: f"+{t}", lambda t: t[:10], lambda t: t + ".0", lambda t: "", lambda t: "9" * 400]
)
def test_row_06_a_time_stamp_of_another_form_is_refused(shared: Service, change: Any) -> None:
    call, target = shared.operator, "/api/v1/features"
    stamp = change(str(now_ms()))
    signature = signing.sign(call.secret_key.encode(), "GET", target.encode(), stamp.encode(), call.access_key.encode()).decode()
    # A blank in front is taken off by HTTP itself, so the text that arrives is another than the one that was signed.
    headers = {signing.TIMESTAMP_HEADER: stamp, signing.ACCESS_KEY_HEADER: call.access_key, signing.SIGNATURE_HEADER: signature}
    assert send(shared.port, "GET", target, None, headers).error == FAILED


@pytest.mark.parametrize(("off_s", "status"), [(-299, 200), (299, 200), (-301, 401), (301, 401)])
def test_row_06_the_window_has_two_sides(shared: Service, off_s: int, status: int) -> None:
    target = "/api/v1/features"
    headers = shared.operator.signed("GET", target, at_ms=now_ms() + off_s * 1000)
    assert send(shared.port, "GET", target, None, headers).status == status


def _put_data(service: Service) -> None:
    service.operator.put("shop", "seq.csv", b"u1\ta\n")


def test_row_04_the_same_request_twice_is_refused_the_second_time(service: Service) -> None:
    _put_data(service)
    call = service.operator
    headers = call.signed("POST", "/api/v1/features")
    assert call("POST", "/api/v1/features", FEATURE, headers=headers).status == 200
    again = call("POST", "/api/v1/features", FEATURE, headers=headers)
    assert (again.error, again.details) == (FAILED, REPLAYED)
    malleated = dict(headers)
    signature = headers[signing.SIGNATURE_HEADER]
    malleated[signing.SIGNATURE_HEADER] = signature[:-2] + chr(ord(signature[-2]) + 1) + "="
    assert call("POST", "/api/v1/features", FEATURE, headers=malleated).error == FAILED
    alias = dict(headers)
    alias[signing.SIGNATURE_V1_HEADER] = alias.pop(signing.SIGNATURE_HEADER)
    assert call("POST", "/api/v1/features", FEATURE, headers=alias).details == REPLAYED


def test_row_04_a_refused_request_is_remembered_too(service: Service) -> None:
    call = service.operator
    headers = call.signed("POST", "/api/v1/features")
    assert call("POST", "/api/v1/features", FEATURE, headers=headers).error[1] == "10106"
    _put_data(service)
    assert call("POST", "/api/v1/features", FEATURE, headers=headers).details == REPLAYED


def test_row_04_twenty_at_once_give_one_change(service: Service) -> None:
    _put_data(service)
    call = service.operator
    headers = call.signed("POST", "/api/v1/features")
    with ThreadPoolExecutor(20) as pool:
        replies = list(pool.map(lambda _: call("POST", "/api/v1/features", FEATURE, headers=headers), range(20)))
    assert sorted(reply.status for reply in replies) == [200] + [401] * 19
    assert {reply.details for reply in replies if reply.status == 401} == {REPLAYED}


def test_row_04_other_bodies_in_one_millisecond_all_pass(service: Service) -> None:
    _put_data(service)
    call = service.operator
    headers = call.signed("POST", "/api/v1/features")
    bodies = [FEATURE | {"name": f"{n}"} for n in range(40)]
    with ThreadPoolExecutor(20) as pool:
        replies = list(pool.map(lambda body: call("POST", "/api/v1/features", body, headers=headers), bodies))
    assert {reply.status for reply in replies} == {200}


def test_row_04_a_second_worker_and_a_restart_remember(tmp_path: Path) -> None:
    with open_service(tmp_path / "home") as service:
        _put_data(service)
        call = service.operator
        headers = call.signed("POST", "/api/v1/features")
        with serve(service.context) as port:
            assert call("POST", "/api/v1/features", FEATURE, headers=headers).status == 200
            call.port = port
            assert call("POST", "/api/v1/features", FEATURE, headers=headers).details == REPLAYED
    with open_service(tmp_path / "home") as service:
        call.port = service.port
        assert call("POST", "/api/v1/features", FEATURE, headers=headers).details == REPLAYED


def test_row_04_an_upload_is_remembered_before_it_is_published(service: Service) -> None:
    call, target = service.operator, "/data/v1/shop/a.csv"
    headers = call.signed("PUT", target)
    assert call("PUT", target, b"one", headers=headers).status == 200
    assert call.put("shop", "a.csv", b"two").status == 200
    assert call("PUT", target, b"one", headers=headers).details == REPLAYED
    assert call.get(target).body == b"two"


def test_row_04_get_may_be_repeated_and_the_setting_turns_it_off(tmp_path: Path, shared: Service) -> None:
    headers = shared.operator.signed("GET", "/api/v1/features")
    for _ in range(2):
        assert shared.operator("GET", "/api/v1/features", headers=headers).status == 200
    with open_service(tmp_path / "home", replay_protection=False) as service:
        _put_data(service)
        call = service.operator
        headers = call.signed("POST", "/api/v1/features")
        assert call("POST", "/api/v1/features", FEATURE, headers=headers).status == 200
        assert call("POST", "/api/v1/features", FEATURE, headers=headers).error[1] == "10102"


def test_an_idempotency_key_gives_the_first_answer(service: Service) -> None:
    _put_data(service)
    call = service.operator
    first = call.post("/api/v1/features", FEATURE, x_idempotency_key="k1")
    again = call.post("/api/v1/features", FEATURE, x_idempotency_key="k1")
    assert (first.status, again.status, again.body) == (200, 200, first.body)
    assert call.get("/api/v1/features").json["total"] == 1
    other = call.post("/api/v1/features", FEATURE | {"name": "other"}, x_idempotency_key="k1")
    assert other.error == (422, "10200", "INVALID_REQUEST")
    stranger = service.account("stranger")
    assert stranger.post("/api/v1/features", FEATURE, x_idempotency_key="k1").error[1] == "10106"


def test_twenty_at_once_with_one_idempotency_key_get_one_answer(service: Service) -> None:
    _put_data(service)
    call = service.operator
    with ThreadPoolExecutor(20) as pool:
        replies = list(pool.map(lambda _: call.post("/api/v1/features", FEATURE, x_idempotency_key="k"), range(20)))
    assert {(reply.status, reply.body) for reply in replies} == {(200, replies[0].body)}


def test_row_20_bad_signatures_are_slowed_and_the_right_client_still_works(tmp_path: Path) -> None:
    with open_service(tmp_path / "home", failures_per_minute=20) as service:
        wrong = Caller(service.port, service.operator.access_key, "x" * 40)
        with ThreadPoolExecutor(8) as pool:
            replies = list(pool.map(lambda _: wrong.get("/api/v1/features"), range(200)))
        slowed = [reply for reply in replies if reply.status == 429]
        assert len(slowed) >= 170
        assert slowed[0].error == (429, "410", "Throttle Limited")
        assert int(slowed[0].headers["retry-after"]) >= 1
        assert service.operator.get("/api/v1/features").status == 200
        target = "/api/v1/features"
        headers = "\r\n".join(f"{k}: {v}" for k, v in service.operator.signed("GET", target).items())
        with socket.create_connection(("127.0.0.1", service.port), source_address=("127.0.0.2", 0)) as other:
            other.sendall(f"GET {target} HTTP/1.1\r\nhost: x\r\n{headers}\r\n\r\n".encode())
            assert other.recv(12) == b"HTTP/1.1 200"


def test_row_21_a_key_has_its_rate(tmp_path: Path) -> None:
    with open_service(tmp_path / "home", rate_per_key=5.0) as service:
        replies = [service.operator.get("/api/v1/features") for _ in range(12)]
        assert [reply.status for reply in replies[:5]] == [200] * 5
        refused = [reply for reply in replies if reply.status == 429]
        assert refused
        assert refused[0].error == (429, "410", "Throttle Limited")
        assert refused[0].headers["retry-after"] == "1"
        assert service.account("other").get("/api/v1/features").status == 200


def test_row_21_a_bucket_fills_by_its_own_clock_and_never_beyond_its_burst() -> None:
    now = [100.0]
    buckets = TokenBuckets(2.0, 3.0, clock=lambda: now[0])
    assert [buckets.take("k") for _ in range(3)] == [0, 0, 0]
    assert buckets.take("k") == pytest.approx(0.5)
    now[0] -= 50  # a clock that steps back neither fills nor empties it
    assert buckets.take("k") == pytest.approx(0.5)
    now[0] += 1000
    assert [buckets.take("k") > 0 for _ in range(4)] == [False, False, False, True]


def test_roles_are_checked_for_each_service(service: Service) -> None:
    _put_data(service)
    call = service.operator
    viewer = service.user(call, "viewer", nclue="VIEWER", nsml="NONE")
    nobody = service.user(call, "nobody", nclue="NONE", nsml="MANAGER")
    id = make_feature(service, call, "f")
    denied = (401, "10100", "ACCESS_DENIED")
    assert viewer.get(f"/api/v1/features/{id}").status == 200
    assert viewer.post("/api/v1/features", FEATURE).error == denied
    assert viewer("DELETE", f"/api/v1/features/{id}").error == denied
    assert nobody.get("/api/v1/features").error == denied
    assert viewer.get("/data/v1/shop").status == 200
    assert viewer.put("shop", "x", b"").error == (403, "230", "Forbidden")
    assert viewer.post("/accounts/v1/users", {"name": "x"}).error == (403, "230", "Forbidden")


def test_the_decoded_query_is_accepted_only_by_setting(tmp_path: Path) -> None:
    sent, signed = "/api/v1/features?x=%ED%95%9C%20a%2Bb", "/api/v1/features?x=한 a+b"
    with open_service(tmp_path / "home", sign_decoded_query=True) as service:
        call = service.operator
        assert call("GET", sent, headers=call.signed("GET", signed)).status == 200
        assert call("GET", "/api/v1/%66eatures?x=1", headers=call.signed("GET", "/api/v1/features?x=1")).status == 401


def test_unsigned_routes_are_three(shared: Service) -> None:
    for path in ("/healthz", "/metrics", "/openapi.json", "/docs"):
        assert send(shared.port, "GET", path, None, {}).status == 200
    from footfall.api.table import OPERATIONS

    assert {o.path for o in OPERATIONS if o.kind == "open"} == {"/healthz", "/metrics", "/openapi.json", "/docs"}


@pytest.mark.parametrize("target", [b"/api/v1/features/\xff", b"/api/v1/features/\xed\x95\x9c", b"*", b"api/v1/features"])
def test_row_07_a_target_that_is_no_ascii_path_is_refused(shared: Service, target: bytes) -> None:
    response = raw(shared.port, b"GET " + target + b" HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", 2)
    assert response[:12] in (b"HTTP/1.1 400", b"HTTP/1.1 404", b"HTTP/1.1 401")


def test_row_19_there_is_no_session_that_another_site_could_use(shared: Service) -> None:
    """Every change is signed by who holds the secret; a browser holds none, so what it sends along by itself opens nothing."""
    call = shared.operator
    signed = call.signed("GET", "/api/v1/features")
    cookie = "; ".join(f"{name}={value}" for name, value in signed.items())
    for headers in ({"cookie": cookie}, {"cookie": cookie, "origin": "https://evil.example"}, {"authorization": "Basic YTpi"}):
        assert send(shared.port, "GET", "/api/v1/features", None, headers).status == 401
        assert send(shared.port, "POST", "/api/v1/features", b"{}", headers).status == 401
    for reply in (
        call.get("/api/v1/features"),
        send(shared.port, "GET", "/docs", None, {}),
        send(shared.port, "GET", "/x", None, {}),
    ):
        assert not {name for name in reply.headers if name == "set-cookie" or name.startswith("access-control-")}
