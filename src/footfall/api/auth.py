"""Authentication (signature over the raw request target, state of the key, rate limit) and authorization by role.

Every wrong signature gets the same answer, in the same time: an unknown key is checked against a secret that nobody has.
Requests with a right signature always pass the count of refusals, so that nobody can lock another out.
"""

import math
import os
import time
from collections.abc import Callable, Mapping
from urllib.parse import unquote_to_bytes

import structlog

from footfall import signing
from footfall.api.context import AppContext
from footfall.api.http.errors import ACCESS_DENIED, FORBIDDEN, PERMISSION_DENIED, THROTTLED, UNEXPECTED, GatewayError
from footfall.api.http.operations import PERMISSIONS, Operation, Permission
from footfall.api.http.rate_limit import TokenBuckets
from footfall.api.request import Request
from footfall.db.access.accounts import Signer, find_signer
from footfall.db.access.api_keys import has_api_key
from footfall.db.engine.encryption import SecretUnreadableError
from footfall.errors import NotAuthenticatedError
from footfall.records import Caller

log = structlog.get_logger("footfall.api")

_TIMESTAMP = signing.TIMESTAMP_HEADER.encode()
_KEY = signing.ACCESS_KEY_HEADER.encode()
_V2 = signing.SIGNATURE_HEADER.encode()
_V1 = signing.SIGNATURE_V1_HEADER.encode()
_API_KEY = signing.API_KEY_HEADER.encode()
_NAMES = frozenset({_TIMESTAMP, _KEY, _V2, _V1})
_SIGNATURE_LENGTH = 44
_DUMMY = "nobody"


class Authenticator:
    """Checks requests. One object a process; its counts are kept here."""

    def __init__(self, context: AppContext, now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000) -> None:
        self._context, self._now_ms = context, now_ms
        settings = context.settings
        self._dummy = context.secrets.seal(os.urandom(40).hex().encode(), _DUMMY)
        self._rate = TokenBuckets(settings.rate_per_key, max(1.0, settings.rate_per_key))
        per_minute = settings.failures_per_minute
        self._failures = TokenBuckets(per_minute / 60, per_minute)
        self._unreadable = set[str]()  # keys of the database whose secret did not open: told once

    def authenticate(self, request: Request) -> None:
        """Set ``caller``, ``signature`` and ``timestamp_ms`` of a request.

        Raises:
            NotAuthenticatedError: a header is missing or wrong.
            GatewayError: too many refusals of this address, or too many requests of this key.
        """
        try:
            self._check_signature(request)
        except NotAuthenticatedError as error:
            client = request.scope.get("client")
            _refuse_for(self._failures.take(client[0] if client else ""), error)
            raise
        _refuse_for(self._rate.take(request.caller.access_key))

    def _check_signature(self, request: Request) -> None:
        auth = _auth_headers(request.headers)
        timestamp, key, signature = auth[_TIMESTAMP], auth[_KEY], auth[_V2] if _V2 in auth else auth[_V1]
        name = key.decode("latin-1")
        signer = None
        if name.isascii() and name.isalnum():
            with self._context.database.read() as connection:
                signer = find_signer(connection, name)
        is_right = self._verify(request, signer, name, timestamp, key, signature)
        if signer is None or not (is_right and signer.is_active and signing.is_fresh(timestamp, self._now_ms())):
            raise NotAuthenticatedError
        request.caller = Caller(signer.account_id, signer.user_id, name, signer.roles)
        request.signature, request.timestamp_ms = signature, int(timestamp)

    def _verify(self, request: Request, signer: Signer | None, name: str, timestamp: bytes, key: bytes, signature: bytes) -> bool:
        scope = request.scope
        raw_path: bytes | None = scope.get("raw_path")
        if raw_path is None:
            raise GatewayError(UNEXPECTED)
        secrets = self._context.secrets
        secret = self._secret_of(signer, name) or secrets.open(self._dummy, _DUMMY)
        method, query = scope["method"], scope["query_string"]
        is_right = signing.verify(signature, secret, method, raw_path, query, timestamp, key)
        if not is_right and query and self._context.settings.sign_decoded_query:
            for decoded in {unquote_to_bytes(query), unquote_to_bytes(query.replace(b"+", b" "))}:
                is_right = is_right or signing.verify(signature, secret, method, raw_path, decoded, timestamp, key)
            if is_right:
                log.info("decoded_query_signature_accepted", access_key=name, trace_id=request.trace_id)
        return is_right and len(signature) == _SIGNATURE_LENGTH

    def _secret_of(self, signer: Signer | None, name: str) -> bytes | None:
        """Return the secret of a key; None if there is none, or it does not open, which is the operator's to know alone."""
        if signer is None:
            return None
        try:
            return self._context.secrets.open(signer.secret, name)
        except SecretUnreadableError as error:
            if name not in self._unreadable:
                self._unreadable.add(name)
                log.error("secret_unreadable", access_key=name, error=str(error))
            return None


def check_access(request: Request) -> None:
    """Refuse who has not subscribed to a service that wants an API key, or whose roles do not allow the operation.

    Asked once the signature is known to be right, for an API key is not signed and proves nothing alone.

    Raises:
        GatewayError: 210 without an enabled API key of the caller's account; else as ``check_role``.
    """
    if request.operation.service == "nsml":
        api_key_values = [value for name, value in request.headers if name == _API_KEY]
        with request.context.database.read() as connection:
            if len(api_key_values) != 1 or not has_api_key(connection, request.caller.account_id, api_key_values[0]):
                raise GatewayError(PERMISSION_DENIED)
    check_role(request.operation, request.caller)


def check_role(operation: Operation, caller: Caller) -> None:
    """Refuse an operation that the caller's roles do not allow.

    Raises:
        GatewayError: 10100 for NCLUE, 230 for the rest.
    """
    if not _MAY[operation.permission](caller.roles):
        code = ACCESS_DENIED if operation.service == "nclue" else FORBIDDEN
        requires = PERMISSIONS[operation.permission]
        raise GatewayError(code, f"{operation.id} needs {requires}; ask who manages the account for the role.")


_MAY: dict[Permission, Callable[[Mapping[str, str]], bool]] = {
    "nobody": lambda _: True,
    "key": lambda _: True,
    "member": lambda roles: any(role != "NONE" for role in roles.values()),
    "viewer": lambda roles: roles["nclue"] != "NONE",
    "manager": lambda roles: roles["nclue"] == "MANAGER",
    "nsml_viewer": lambda roles: roles["nsml"] != "NONE",
    "nsml_manager": lambda roles: roles["nsml"] == "MANAGER",
    "owner": lambda roles: all(role == "MANAGER" for role in roles.values()),
}


def _auth_headers(headers: list[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    headers_by_name: dict[bytes, bytes] = {}
    for name, value in headers:
        if name in _NAMES:
            if name in headers_by_name:
                raise NotAuthenticatedError
            headers_by_name[name] = value
    if _TIMESTAMP not in headers_by_name or _KEY not in headers_by_name or not (_V2 in headers_by_name or _V1 in headers_by_name):
        raise NotAuthenticatedError(missing=True)
    return headers_by_name


def _refuse_for(wait_s: float, cause: Exception | None = None) -> None:
    if wait_s > 0:
        seconds = math.ceil(wait_s)
        headers = [(b"retry-after", b"%d" % seconds)]
        raise GatewayError(THROTTLED, f"Too many requests; wait {seconds} s and try again.", headers) from cause
