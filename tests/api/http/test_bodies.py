"""JSON that wants to hurt, and what the log says of all this."""

import io
import logging
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest
import structlog

from footfall.config import load_settings
from footfall.errors import ConfigError
from footfall.server import check_exposure
from service import Caller, Service, open_service

FEATURE = b'{"name": "%s", "source_bucket": "shop", "source_file_path": "seq.csv"%s}'


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"nonsense", 400),
        (b'{"a": NaN}', 400),
        (b'{"a": Infinity}', 400),
        (b'"\xff"', 400),
        (b'{"a": "\\ud800"}', 400),
        (b"[" * 100_000 + b"]" * 100_000, 400),
        (b'{"a": ' + b"[" * 40 + b"]" * 40 + b"}", 400),
        (b"\xef\xbb\xbf{}", 400),
        (b"[]", 422),
        (b"null", 422),
        (b'"x"', 422),
        (b'{"a": 1e400}', 422),
        (b'{"a": 9223372036854775808}', 422),
        (b'{"a": ' + b"9" * 5000 + b"}", 422),
    ],
)
def test_row_26_bad_json_is_10200(shared: Service, body: bytes, status: int) -> None:
    assert shared.operator("POST", "/api/v1/features", body).error == (status, "10200", "INVALID_REQUEST")


def test_row_26_a_huge_number_is_too_large_a_body(shared: Service) -> None:
    reply = shared.operator("POST", "/api/v1/features", b'{"a": ' + b"9" * 10_000_000 + b"}")
    assert reply.error == (413, "430", "Request Entity Too Large")


def test_row_26_a_field_given_twice_counts_as_given_last(shared: Service) -> None:
    reply = shared.operator("POST", "/api/v1/features", FEATURE % (b"first", b', "name": "last"'))
    assert reply.json["feature_name"] == "last"


def test_row_26_the_largest_number_is_fine(shared: Service) -> None:
    body = FEATURE % (b"number", b', "a": 9223372036854775807')
    assert shared.operator("POST", "/api/v1/features", body).headers["x-unknown-fields"] == "a"


def test_row_02_no_secret_is_in_any_output(tmp_path: Path) -> None:
    output = io.StringIO()
    before = structlog.get_config()
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG),
        logger_factory=structlog.PrintLoggerFactory(output),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(output)
    logging.getLogger().addHandler(handler)
    try:
        with redirect_stdout(output), redirect_stderr(output), open_service(tmp_path / "home") as service:
            secrets = _do_everything(service, output)
            service.database.close()
            broken = service.operator.get("/api/v1/features")
            assert broken.status in (200, 503)
    finally:
        structlog.configure(**before)
        logging.getLogger().removeHandler(handler)
    text = output.getvalue()
    assert "create_key" in text
    for secret in secrets:
        assert secret not in text


def _do_everything(service: Service, output: io.StringIO) -> list[str]:
    call = service.operator
    signed = call.signed("GET", "/api/v1/features")
    secrets = [call.secret_key, signed["x-ncp-apigw-signature-v2"]]
    key = call.post("/accounts/v1/keys", {}).json
    api_key = call.post("/accounts/v1/api-keys", {"name": "k"}).json
    made = call.post("/accounts/v1/accounts", {"name": "a"}).json
    secrets += [key["secret_key"], api_key["primary_key"], api_key["secondary_key"], made["secret_key"]]
    call("GET", "/api/v1/features", headers=signed)
    Caller(service.port, call.access_key, "wrong").get("/api/v1/features")
    call.put("shop", "x", b"x")
    call.post("/api/v1/features", {"name": 1})
    print(call, service.context, service.settings, file=output)
    return secrets


def test_row_05_listening_beyond_this_machine_needs_tls_or_a_proxy(tmp_path: Path) -> None:
    for host in ("0.0.0.0", "::", "192.168.1.1", "example.com", ""):
        with pytest.raises(ConfigError, match="tls-cert"):
            check_exposure(load_settings(tmp_path, {}, host=host))
        check_exposure(load_settings(tmp_path, {}, host=host, behind_proxy=True))
    for host in ("127.0.0.1", "::1", "localhost"):
        check_exposure(load_settings(tmp_path, {}, host=host))
    with pytest.raises(ConfigError):
        check_exposure(load_settings(tmp_path, {}, host="0.0.0.0", tls_cert=sys.executable))


def test_what_nobody_expected_is_500_and_logged_with_its_trace_id(
    service: Service, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with service.database.write() as tx:
        tx.exec_driver_sql("DROP TABLE resource_counts")
    reply = service.operator.get("/api/v1/features")
    assert reply.status in (500, 503)
    assert "resource_counts" not in reply.details or reply.status == 503
    assert reply.headers["x-ncp-trace-id"] in capsys.readouterr().out
