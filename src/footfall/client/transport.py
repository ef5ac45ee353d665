"""Signed HTTP: one signature an attempt, retries, the credentials read again. Knows no resource.

A request is signed over the target exactly as it is sent. One key never signs twice in one millisecond within a
process, since the service takes the same signature over the same body for a replay. What may be sent again: reads, and
puts of whole objects; anything that was refused before it was looked at (no connection, 503, 429); and creates, because
they carry an idempotency key.

Source: ``docs/reference/api.md``.
"""

import os
import random
import ssl
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlencode, urlsplit

import msgspec
import urllib3
from urllib3.exceptions import ConnectTimeoutError, HTTPError, LocationParseError, NewConnectionError, ReadTimeoutError, SSLError

from footfall import signing
from footfall.client.credentials import Credentials
from footfall.errors import ConfigError, ServiceError

Body = bytes | Callable[[], Iterable[bytes]]
"""Bytes, or a function that starts the body anew for each attempt."""

TRIES = 3
MAX_PAUSE_S = 5.0
CHUNK_BYTES = 1 << 20
_REPEATABLE = frozenset({"GET", "HEAD", "PUT"})
_START_IT = "Is it running? Start it with `footfall up`, or check the endpoint with `footfall doctor`."
_NOT_AUTHENTICATED = "200"
_REPLAYED = "This request was already received."


class SigningClock:
    """Milliseconds since 1970 that never repeat within a process, per key."""

    def __init__(self, now_ns: Callable[[], int] = time.time_ns) -> None:
        self._now_ns = now_ns
        self._last: dict[str, int] = {}
        self._lock = threading.Lock()

    def next_ms(self, access_key: str) -> int:
        """Return the time, or the first millisecond after the last one given out.

        A clock that was set back by more than the service tolerates is followed: its old times would be refused anyway.
        """
        with self._lock:
            now = self._now_ns() // 1_000_000
            last = self._last.get(access_key, 0)
            if last - now < signing.WINDOW_MS:
                now = max(now, last + 1)
            self._last[access_key] = now
        return now


_clock = SigningClock()


class SilentStreamError(ServiceError):
    """Nothing came within the time limit from a stream whose connection stands: silence, which says nothing of the service."""


@dataclass(frozen=True, slots=True)
class _Service:
    credentials: Credentials
    pool: urllib3.HTTPConnectionPool


class Transport:
    """A pool of connections to one service, and one pair of keys.

    Args:
        find: reads the credentials again when the service cannot be reached or refuses the keys, for a server that was started
            again may have another port.
    """

    def __init__(
        self,
        credentials: Credentials,
        ca_file: str | os.PathLike[str] | None = None,
        timeout_s: float = 60.0,
        find: Callable[[], Credentials] | None = None,
    ) -> None:
        self._ca_file, self._find, self._lock = ca_file, find, threading.Lock()
        self._timeout = urllib3.Timeout(connect=min(10.0, timeout_s), read=timeout_s)
        self._service = _Service(credentials, self._open_pool(credentials.endpoint))

    @property
    def credentials(self) -> Credentials:
        """The address and the keys that are used now."""
        return self._service.credentials

    def _open_pool(self, endpoint: str) -> urllib3.HTTPConnectionPool:
        parts = urlsplit(endpoint)
        host = parts.hostname or ""
        try:
            if parts.scheme == "https":
                context = ssl.create_default_context(cafile=self._ca_file)
                return urllib3.HTTPSConnectionPool(host, parts.port, maxsize=8, ssl_context=context)
            return urllib3.HTTPConnectionPool(host, parts.port, maxsize=8)
        except (LocationParseError, OSError) as error:
            raise ConfigError("endpoint" if self._ca_file is None else "ca_file", f"cannot be used: {error}") from error

    def _has_moved(self, used: _Service) -> bool:
        """Whether the credentials are others than those used, read again now or by another thread."""
        with self._lock:
            if self._service is not used or self._find is None:
                return self._service is not used
            try:
                found = self._find()
            except ConfigError:
                return False  # the failure that made us look says more
            if found == used.credentials:
                return False
            self._service = _Service(found, self._open_pool(found.endpoint))
            used.pool.close()
            return True

    def close(self) -> None:
        """Close every idle connection."""
        self._service.pool.close()

    def call(
        self,
        method: str,
        path: str,
        query: Mapping[str, Any] | None = None,
        *,
        body: Body = b"",
        headers: Mapping[str, str] | None = None,
        signed: bool = True,
        tries: int = TRIES,
    ) -> urllib3.BaseHTTPResponse:
        """Send a request, again where that is safe, and return the answer with its body unread.

        Args:
            path: percent-encoded where needed; it is signed as it is sent.

        Raises:
            ServiceError: the service refused it, or (status 0) did not answer.
        """
        params = {name: value for name, value in (query or {}).items() if value is not None}
        target = path + ("?" + urlencode(params) if params else "")
        fixed = {"accept": "*/*", **(headers or {})}
        repeatable = method in _REPEATABLE or "x-idempotency-key" in fixed
        attempt = 1
        while True:
            service = self._service
            error, retry, after_s = self._attempt(service, method, target, body, fixed, signed, repeatable)
            if not isinstance(error, ServiceError):
                return error
            is_refused_elsewhere = error.status == 401 or (400 <= error.status < 500 and not error.error_code)
            if attempt >= tries or not (retry or is_refused_elsewhere):
                raise error
            has_moved = (error.status == 0 or is_refused_elsewhere) and self._has_moved(service)
            if not (retry or has_moved):
                raise error
            time.sleep(min(MAX_PAUSE_S, after_s or 0.2 * 2**attempt * random.uniform(0.5, 1.0)))
            attempt += 1

    def json(
        self,
        method: str,
        path: str,
        query: Mapping[str, Any] | None = None,
        body: Mapping[str, Any] | msgspec.Struct | None = None,
    ) -> Any:
        """Send a request with or without a JSON body and return the JSON of the answer; creates cannot happen twice.

        Args:
            body: of a struct of the contract, what is None is left out.

        Raises:
            ServiceError: as ``call`` and ``decode``.
        """
        headers: dict[str, str] = {}
        if method == "POST":
            headers["x-idempotency-key"] = str(uuid.uuid4())
        content = b""
        if body is not None:
            headers["content-type"] = "application/json"
            if isinstance(body, msgspec.Struct):
                fields = msgspec.to_builtins(body)
                body = {name: value for name, value in fields.items() if value is not None}
            content = msgspec.json.encode(body)
        return self.decode(self.call(method, path, query, body=content, headers=headers))

    def decode(self, answer: urllib3.BaseHTTPResponse) -> Any:
        """Return the JSON of an answer; None for an empty one.

        Raises:
            ServiceError: it is no JSON, or it broke off.
        """
        data = self.read(answer)
        try:
            return msgspec.json.decode(data) if data else None
        except msgspec.DecodeError as error:
            details = f"{self.credentials.endpoint} answered with something that is no JSON; is it a Footfall server?"
            raise ServiceError(answer.status, "", "NOT_JSON", details) from error

    def read(self, answer: urllib3.BaseHTTPResponse) -> bytes:
        """Return the whole body of an answer."""
        return b"".join(self.stream(answer))

    def stream(self, answer: urllib3.BaseHTTPResponse) -> Iterator[bytes]:
        """Yield the body of an answer in chunks; a body that ends early is an error."""
        try:
            yield from answer.stream(CHUNK_BYTES, decode_content=False)
            answer.release_conn()  # before close, which would else drop a connection that can be used again
        except ReadTimeoutError as error:
            failure = self._unreachable(error, "broke off within its answer")
            raise SilentStreamError(0, "", failure.symbol, str(failure)) from error
        except (HTTPError, OSError) as error:
            raise self._unreachable(error, "broke off within its answer") from error
        finally:
            answer.close()

    def _attempt(
        self, service: _Service, method: str, target: str, body: Body, headers: Mapping[str, str], signed: bool, repeatable: bool
    ) -> tuple[ServiceError | urllib3.BaseHTTPResponse, bool, float | None]:
        """Return an answer, or an error, whether it is safe to try again, and the pause that the service requests."""
        content = body if isinstance(body, bytes) else body()
        all_headers = dict(headers) | (_signature(service.credentials, method, target) if signed else {})
        try:
            answer = service.pool.urlopen(
                method,
                target,
                body=content or None,
                headers=all_headers,
                retries=False,
                redirect=False,
                timeout=self._timeout,
                preload_content=False,
                decode_content=False,
                chunked=not isinstance(content, bytes) and "content-length" not in headers,
            )
        except SSLError as error:
            advice = "Name the authority that signed it with ca_file or --ca-file."
            return self._unreachable(error, "has a certificate that is not trusted", advice), False, None
        except (NewConnectionError, ConnectTimeoutError) as error:
            return self._unreachable(error, "cannot be reached"), True, None
        except ReadTimeoutError as error:
            return self._unreachable(error, "did not answer in time"), repeatable, None
        except (HTTPError, OSError) as error:
            return self._unreachable(error, "broke off"), repeatable, None
        if answer.status < 400:
            return answer, False, None
        refusal, after_s = _refusal(answer), _retry_after_s(answer)
        unseen = answer.status in (429, 503) and after_s is not None
        replayed = answer.status == 401 and str(refusal) == _REPLAYED
        if signed and answer.status == 401 and refusal.error_code == _NOT_AUTHENTICATED and not replayed:
            details = f"{refusal} {self._advice_about_keys(answer)}"
            refusal = ServiceError(401, refusal.error_code, refusal.symbol, details, refusal.trace_id)
        return refusal, unseen or replayed or (repeatable and answer.status in (502, 503, 504)), after_s

    def _advice_about_keys(self, answer: urllib3.BaseHTTPResponse) -> str:
        who = self.credentials
        try:
            apart_s = time.time() - parsedate_to_datetime(answer.headers.get("date", "")).timestamp()
        except ValueError:
            apart_s = 0.0
        if abs(apart_s) * 1000 > signing.WINDOW_MS:
            return f"The clocks of this machine and of the server differ by {abs(apart_s) / 60:.0f} minutes; set them right."
        return (
            f"The key {who.access_key} comes from {who.source}. `footfall key list`, with a key that works, shows whether it "
            "is there and active; `footfall doctor` looks at the rest."
        )

    def _unreachable(self, error: Exception, what: str, advice: str = _START_IT) -> ServiceError:
        cause = error.__cause__ or error.__context__ or error
        text = str(cause).rpartition(": ")[2] or type(cause).__name__
        reason = getattr(cause, "verify_message", None) or getattr(cause, "strerror", None) or text
        failure = ServiceError(0, "", "UNREACHABLE", f"The service at {self.credentials.endpoint} {what} ({reason}). {advice}")
        failure.__cause__ = error
        return failure


class Operations:
    """Operations that go over one transport."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport


def _signature(who: Credentials, method: str, target: str) -> dict[str, str]:
    stamp = str(_clock.next_ms(who.access_key))
    key = who.access_key.encode()
    signature = signing.sign(who.secret_key.encode(), method, target.encode("ascii"), stamp.encode("ascii"), key)
    headers = {
        signing.TIMESTAMP_HEADER: stamp,
        signing.ACCESS_KEY_HEADER: who.access_key,
        signing.SIGNATURE_HEADER: signature.decode("ascii"),
    }
    if who.api_key:
        headers[signing.API_KEY_HEADER] = who.api_key
    return headers


def _refusal(answer: urllib3.BaseHTTPResponse) -> ServiceError:
    try:
        data = answer.read(CHUNK_BYTES, decode_content=False)
    except (HTTPError, OSError):
        data = b""  # the status alone shows the refusal
    finally:
        answer.close()
    code, symbol, details = "", f"HTTP_{answer.status}", ""
    try:
        error = msgspec.json.decode(data)["error"]
        code, symbol = str(error.get("errorCode", "")), str(error.get("message") or symbol)
        details = str(error.get("details") or "")
    except (msgspec.DecodeError, KeyError, TypeError, AttributeError):
        details = f"The service answered {answer.status} without saying why: {data[:200].decode('utf-8', 'replace')!r}"
    return ServiceError(answer.status, code, symbol, details, answer.headers.get("x-ncp-trace-id", ""))


def _retry_after_s(answer: urllib3.BaseHTTPResponse) -> float | None:
    text = answer.headers.get("retry-after", "")
    return float(text) if text.isascii() and text.isdigit() else None
