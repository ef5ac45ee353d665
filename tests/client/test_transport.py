"""Finding keys, signing, trying again: against real sockets, with a server that misbehaves on request."""

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from footfall import signing
from footfall.client.credentials import Credentials, find_credentials
from footfall.client.transport import SigningClock, Transport
from footfall.errors import ConfigError, ServiceError


def write_credentials(home: Path, **values: str) -> Path:
    home.mkdir(exist_ok=True)
    (home / "credentials.toml").write_text("".join(f'{name} = "{value}"\n' for name, value in values.items()))
    return home


PAIR = {"access_key": "file-key", "secret_key": "file-secret", "endpoint": "http://127.0.0.1:1"}


def test_arguments_win_over_variables_and_files(tmp_path: Path) -> None:
    home = write_credentials(tmp_path / "home", **PAIR)
    env = {"FOOTFALL_HOME": str(home), "FOOTFALL_ACCESS_KEY": "env", "FOOTFALL_SECRET_KEY": "env-secret"}
    credentials = find_credentials("http://127.0.0.1:2/", "mine", "my-secret", environment=env)
    assert (credentials.endpoint, credentials.access_key, credentials.secret_key) == ("http://127.0.0.1:2", "mine", "my-secret")


def test_variables_win_over_the_file_of_footfall_home(tmp_path: Path) -> None:
    home = write_credentials(tmp_path / "home", **PAIR)
    env = {"FOOTFALL_HOME": str(home), "FOOTFALL_ACCESS_KEY": "env", "FOOTFALL_SECRET_KEY": "env-secret"}
    credentials = find_credentials(environment=env)
    assert (credentials.access_key, credentials.endpoint) == ("env", PAIR["endpoint"])


def test_a_home_given_as_argument_wins_over_variables(tmp_path: Path) -> None:
    home = write_credentials(tmp_path / "home", **PAIR)
    env = {"FOOTFALL_ACCESS_KEY": "env", "FOOTFALL_SECRET_KEY": "s", "FOOTFALL_ENDPOINT": "http://127.0.0.1:9"}
    credentials = find_credentials(home=home, environment=env)
    assert (credentials.access_key, credentials.endpoint) == ("file-key", PAIR["endpoint"])


def test_the_file_wins_over_ncloud_variables(tmp_path: Path) -> None:
    home = write_credentials(tmp_path / "home", **PAIR)
    env = {"FOOTFALL_HOME": str(home), "NCLOUD_ACCESS_KEY": "real", "NCLOUD_SECRET_KEY": "real-secret"}
    assert find_credentials(environment=env).access_key == "file-key"


def test_ncloud_variables_come_last(tmp_path: Path) -> None:
    env = {
        "FOOTFALL_HOME": str(tmp_path),
        "FOOTFALL_ENDPOINT": "https://footfall.example",
        "NCLOUD_ACCESS_KEY": "real",
        "NCLOUD_SECRET_KEY": "real-secret",
    }
    assert find_credentials(environment=env).access_key == "real"


def test_no_keys_at_all_names_the_file_and_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"credentials.toml.*footfall up") as caught:
        find_credentials(environment={"FOOTFALL_HOME": str(tmp_path)})
    assert str(tmp_path) in str(caught.value)


def test_a_file_without_keys_is_told_from_no_file(tmp_path: Path) -> None:
    home = write_credentials(tmp_path / "home", endpoint=PAIR["endpoint"])
    with pytest.raises(ConfigError, match=r"credentials\.toml has no keys") as caught:
        find_credentials(environment={"FOOTFALL_HOME": str(home)})
    assert f"footfall key recover --home {home}" in str(caught.value)


def test_a_lost_file_in_a_servers_home_can_be_made_again(tmp_path: Path) -> None:
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "key").touch()
    with pytest.raises(ConfigError, match=r"there is no .*credentials.toml.*footfall key recover"):
        find_credentials(environment={"FOOTFALL_HOME": str(tmp_path)})


def test_a_home_that_is_a_file_says_so(tmp_path: Path) -> None:
    (tmp_path / "home").touch()
    with pytest.raises(ConfigError, match=r"Not a directory; name the home"):
        find_credentials(home=tmp_path / "home", environment={})


def test_half_a_pair_is_refused_rather_than_mixed(tmp_path: Path) -> None:
    home = write_credentials(tmp_path / "home", **PAIR)
    with pytest.raises(ConfigError, match="secret_key"):
        find_credentials(environment={"FOOTFALL_HOME": str(home), "FOOTFALL_ACCESS_KEY": "env"})


def test_keys_without_an_endpoint_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="FOOTFALL_ENDPOINT"):
        find_credentials(access_key="a", secret_key="b", environment={"FOOTFALL_HOME": str(tmp_path)})


@pytest.mark.parametrize("endpoint", ["127.0.0.1:8600", "ftp://x", "http://", "http://x/api/v1", "http://x:99999"])
def test_an_endpoint_that_is_none_is_refused(endpoint: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="endpoint"):
        find_credentials(endpoint, "a", "b", environment={"FOOTFALL_HOME": str(tmp_path)})


def test_a_broken_credentials_file_says_so(tmp_path: Path) -> None:
    (tmp_path / "credentials.toml").write_text("endpoint = ")
    with pytest.raises(ConfigError, match="cannot be read"):
        find_credentials(environment={"FOOTFALL_HOME": str(tmp_path)})


def test_security_02_secrets_are_in_no_repr() -> None:
    assert "hush" not in repr(Credentials("http://x", "key", "hush", "hush"))


def test_the_clock_never_gives_one_key_one_millisecond_twice() -> None:
    clock = SigningClock(lambda: 5_000_000)
    assert [clock.next_ms("a"), clock.next_ms("a"), clock.next_ms("b"), clock.next_ms("a")] == [5, 6, 5, 7]


def test_the_clock_is_unique_between_threads() -> None:
    clock, seen = SigningClock(), list[int]()

    def take() -> None:
        seen.extend(clock.next_ms("a") for _ in range(500))

    threads = [threading.Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(seen)) == 4000


def test_the_clock_follows_a_time_that_was_set_back_by_an_hour() -> None:
    times = iter([7_200_000 * 10**6, 3_600_000 * 10**6])
    clock = SigningClock(lambda: next(times))
    assert [clock.next_ms("a"), clock.next_ms("a")] == [7_200_000, 3_600_000]


class Script:
    """Answers, one after the other, and the requests that they answered."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, dict[str, str], bytes]] = []
        self.requests: list[tuple[str, str, dict[str, str], bytes]] = []


@contextmanager
def scripted() -> Iterator[tuple[Transport, Script]]:
    script = Script()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            script.requests.append((self.command, self.path, dict(self.headers.items()), body))
            status, headers, content = script.answers.pop(0)
            self.send_response(status)
            for name, value in ({"content-length": str(len(content))} | headers).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)
            self.close_connection = int(headers.get("content-length", len(content))) != len(content)

        do_GET = do_POST = do_DELETE = do_PUT = do_HEAD = answer

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        transport = Transport(Credentials(f"http://127.0.0.1:{server.server_port}", "key", "secret", "api"), timeout_s=5)
        try:
            yield transport, script
        finally:
            transport.close()
            server.shutdown()
            thread.join()


BUSY = (503, {"retry-after": "0"}, b'{"error": {"errorCode": "500", "message": "Endpoint Error", "details": "busy"}}')
FINE = (200, {}, b'{"ok": true}')


def test_the_signature_is_over_the_target_as_sent() -> None:
    with scripted() as (transport, script):
        script.answers = [FINE]
        transport.json("GET", "/data/v1/b/a%2Fb", {"prefix": "x y/é", "limit": 3})
    method, target, headers, _ = script.requests[0]
    stamp = headers[signing.TIMESTAMP_HEADER].encode()
    expected = signing.sign(b"secret", method, target.encode(), stamp, b"key").decode()
    assert target == "/data/v1/b/a%2Fb?prefix=x+y%2F%C3%A9&limit=3"
    assert headers[signing.SIGNATURE_HEADER] == expected
    assert headers[signing.API_KEY_HEADER] == "api"


def test_each_try_is_signed_anew_and_keeps_its_idempotency_key() -> None:
    with scripted() as (transport, script):
        script.answers = [BUSY, BUSY, FINE]
        assert transport.json("POST", "/api/v1/features", body={"name": "x"}) == {"ok": True}
    stamps = [headers[signing.TIMESTAMP_HEADER] for _, _, headers, _ in script.requests]
    keys = {headers["x-idempotency-key"] for _, _, headers, _ in script.requests}
    assert len(set(stamps)) == 3
    assert len(keys) == 1


def test_a_refusal_is_not_tried_again_and_carries_what_was_said() -> None:
    body = b'{"error": {"errorCode": "10102", "message": "DUPLICATE_NAME", "details": "taken"}}'
    with scripted() as (transport, script):
        script.answers = [(409, {"x-ncp-trace-id": "t1"}, body)]
        with pytest.raises(ServiceError) as caught:
            transport.json("POST", "/api/v1/features", body={})
    error = caught.value
    assert (error.status, error.error_code, error.symbol, str(error), error.trace_id) == (
        409,
        "10102",
        "DUPLICATE_NAME",
        "taken",
        "t1",
    )


REFUSED = b'{"error": {"errorCode": "200", "message": "Authentication Failed", "details": "Invalid."}}'


def test_keys_that_are_refused_say_where_they_came_from() -> None:
    with scripted() as (transport, script):
        script.answers = [(401, {}, REFUSED)]
        with pytest.raises(ServiceError, match=r"^Invalid\. The key key comes from arguments.*footfall key list") as caught:
            transport.json("GET", "/api/v1/features")
    assert (caught.value.error_code, caught.value.symbol) == ("200", "Authentication Failed")
    assert "secret" not in str(caught.value)


def test_keys_that_are_refused_for_the_clock_say_so() -> None:
    assert "differ by" in str(_refused_at("Sun, 22 Nov 2020 16:00:00 GMT"))
    assert "comes from" in str(_refused_at("no date at all"))


def _refused_at(date: str) -> ServiceError:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                head = f"HTTP/1.1 401 Unauthorized\r\nDate: {date}\r\nContent-Length: {len(REFUSED)}\r\n\r\n"
                connection.sendall(head.encode() + REFUSED)

        thread = threading.Thread(target=answer)
        thread.start()
        transport = Transport(Credentials(f"http://127.0.0.1:{listener.getsockname()[1]}", "key", "secret"))
        with pytest.raises(ServiceError) as caught:
            transport.json("GET", "/")
        thread.join()
    return caught.value


def test_a_role_that_is_too_small_says_nothing_of_keys() -> None:
    body = b'{"error": {"errorCode": "10100", "message": "ACCESS_DENIED", "details": "Ask a manager."}}'
    with scripted() as (transport, script):
        script.answers = [(401, {}, body)]
        with pytest.raises(ServiceError, match=r"^Ask a manager\.$"):
            transport.json("GET", "/")


def test_an_error_code_may_be_a_number() -> None:
    with scripted() as (transport, script):
        script.answers = [(401, {}, b'{"error": {"errorCode": 200, "message": "Authentication Failed"}}')]
        with pytest.raises(ServiceError, match="Authentication Failed") as caught:
            transport.json("GET", "/")
    assert caught.value.error_code == "200"


def test_an_error_that_is_no_json_is_quoted() -> None:
    with scripted() as (transport, script):
        script.answers = [(404, {}, b"<html>nope")]
        with pytest.raises(ServiceError, match="<html>nope"):
            transport.json("GET", "/")


def test_an_answer_that_is_no_json_is_an_error() -> None:
    with scripted() as (transport, script):
        script.answers = [(200, {}, b"<html>hello")]
        with pytest.raises(ServiceError, match="is it a Footfall server"):
            transport.json("GET", "/")


def test_a_body_that_ends_early_is_an_error() -> None:
    with scripted() as (transport, script):
        script.answers = [(200, {"content-length": "100"}, b"short")]
        with pytest.raises(ServiceError, match="broke off") as caught:
            transport.read(transport.call("GET", "/"))
    assert caught.value.status == 0


def test_a_delete_that_broke_off_is_not_sent_twice() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        seen: list[bytes] = []

        def accept_and_hang_up() -> None:
            listener.settimeout(5)
            connection, _ = listener.accept()
            with connection:
                seen.append(connection.recv(65536))

        thread = threading.Thread(target=accept_and_hang_up)
        thread.start()
        port = listener.getsockname()[1]
        with pytest.raises(ServiceError, match="broke off") as caught:
            Transport(Credentials(f"http://127.0.0.1:{port}", "key", "secret")).json("DELETE", "/api/v1/features/x")
        thread.join()
    assert caught.value.status == 0
    assert len(seen) == 1


def test_no_server_is_status_0_and_says_what_to_do() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(ServiceError, match=r"Connection refused.*footfall up") as caught:
        Transport(Credentials(f"http://127.0.0.1:{port}", "key", "secret")).call("GET", "/", tries=1)
    assert (caught.value.status, caught.value.symbol) == (0, "UNREACHABLE")


def test_a_server_that_moved_to_another_port_is_found_again_in_the_file() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        gone = Credentials(f"http://127.0.0.1:{listener.getsockname()[1]}", "key", "secret")
    with scripted() as (there, script):
        script.answers = [FINE]
        moved = Transport(gone, find=lambda: there.credentials)
        assert moved.json("POST", "/api/v1/features") == {"ok": True}
        assert moved.credentials == there.credentials


@pytest.mark.parametrize("status", [401, 404])
def test_a_stranger_on_the_old_port_is_no_reason_to_give_up(status: int) -> None:
    with scripted() as (old, stranger), scripted() as (there, script):
        stranger.answers = [(status, {}, b"who are you?")]
        script.answers = [FINE]
        assert Transport(old.credentials, find=lambda: there.credentials).json("DELETE", "/api/v1/features/x") == {"ok": True}


def test_what_the_right_server_refuses_is_not_sent_again() -> None:
    with scripted() as (transport, script):
        script.answers = [(404, {}, b"no such thing")]
        found: list[Credentials] = []

        def find() -> Credentials:
            found.append(transport.credentials)
            return transport.credentials

        with pytest.raises(ServiceError, match="no such thing"):
            Transport(transport.credentials, find=find).json("GET", "/api/v1/features/x")
    assert (len(script.requests), len(found)) == (1, 1)


def test_a_ca_file_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="ca_file"):
        Transport(Credentials("https://127.0.0.1:1", "key", "secret"), ca_file=tmp_path / "none.pem")


def test_a_replayed_answer_to_a_first_try_is_signed_and_sent_again() -> None:
    body = b'{"error": {"errorCode": "200", "message": "x", "details": "This request was already received."}}'
    with scripted() as (transport, script):
        script.answers = [(401, {}, body), FINE]
        assert transport.json("DELETE", "/api/v1/features/x") == {"ok": True}
    assert len(script.requests) == 2


def test_the_environment_is_the_default_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(("FOOTFALL_", "NCLOUD_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("FOOTFALL_HOME", str(write_credentials(tmp_path / "home", **PAIR)))
    assert find_credentials().access_key == "file-key"
