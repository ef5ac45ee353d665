"""Idempotent mutations: checked without a transaction, applied in one that also records the request.

A request that was received before is refused, whatever came of it; one that was refused is remembered alone. A POST
with an idempotency key that came before from the same user with the same body gets the first answer; in NSML the key is the
account's, for one path, and a second request waits while the first is under way. First answers are sealed: they may hold
secrets that are shown once.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from hashlib import sha256

from footfall.api.auth import check_access
from footfall.api.context import AppContext
from footfall.api.http.bodies import name_unknown, parse_body
from footfall.api.http.errors import AUTHENTICATION_FAILED, BAD_REQUEST, UNAVAILABLE, GatewayError
from footfall.api.http.responses import Response, encode_json
from footfall.api.quota import check_space
from footfall.api.request import Mutation, Request
from footfall.db.access import requests
from footfall.db.access.requests import FirstAnswer
from footfall.db.engine.engine import Connection, now_us
from footfall.errors import DatabaseUnavailableError, FootfallError, InUseError, InvalidFieldError
from footfall.signing import WINDOW_MS

IDEMPOTENCY_HEADER = b"x-idempotency-key"
IDEMPOTENCY_US = 24 * 3600 * 1_000_000
MAX_KEY_LENGTH = 200
IDEMPOTENCY_TIMEOUT_S = 10.0
"""How long a second request with a key of NSML waits for the first."""


class ReplayedError(GatewayError):
    """The very same request was received before."""

    code = "replayed"

    def __init__(self) -> None:
        super().__init__(AUTHENTICATION_FAILED, "This request was already received.")


class _RaceError(Exception):
    """Another request with this idempotency key was committed first."""


def handle_mutation(request: Request) -> Response:
    """Return the answer of a changing operation, applied once."""
    memory = RequestMemory(request, sha256(request.body).digest())
    memory.refuse_replay()
    try:
        check_access(request)
        with memory.exclusive():
            known = memory.first_response()
            if known is None:
                return _apply(request, memory)
        memory.mark_alone()
        return known
    except ReplayedError:
        raise
    except FootfallError as refusal:
        memory.mark_refused(refusal)
        # Whoever came first with this idempotency key may have taken the name that we were refused for.
        known = memory.first_response() if not isinstance(refusal, InvalidFieldError | GatewayError) else None
        if known is None:
            raise
        return known


def handle_upload(request: Request, chunks: Iterator[bytes]) -> Response:
    """Return the answer of an upload, in a transfer thread.

    Its body is known only when it has been read: one that is refused before is remembered by its signature alone, so that
    no body passes with that later.
    """
    memory = RequestMemory(request)
    memory.refuse_replay()
    try:
        check_access(request)
        response: Response = request.operation.handler(request, chunks, memory)
    except ReplayedError:
        raise
    except FootfallError as refusal:
        memory.mark_refused(refusal)
        raise
    return response


def _apply(request: Request, memory: "RequestMemory") -> Response:
    operation, context = request.operation, request.context
    if operation.request is not None:
        request.fields, request.unknown = parse_body(operation.request, request.body)
    if operation.creates:
        check_space(context.settings)
    change: Mutation = operation.handler(request)
    with change.within or nullcontext():
        try:
            with context.database.write() as tx:
                memory.mark(tx)
                made = change.apply(tx)
                response = made if isinstance(made, Response) else Response(encode_json(made), operation.status)
                memory.remember(tx, response)
        except _RaceError as error:
            known = memory.first_response()
            if known is None:
                raise GatewayError(UNAVAILABLE) from error
            memory.mark_alone()
            return known
        memory.is_kept = True
        if change.after is not None:
            change.after()
    if operation.wakes:
        context.wake()
    if request.unknown:
        response.headers.append((b"x-unknown-fields", name_unknown(request.unknown)))
    return response


class RequestMemory:
    """What is remembered of one request: its mark, and its answer if it has an idempotency key.

    ``is_kept``: its mark is committed.
    """

    def __init__(self, request: Request, body_digest: bytes = b"") -> None:
        self._context: AppContext = request.context
        self._account_id, self._signature = request.caller.account_id, request.signature
        self.is_kept = False
        self._mark: bytes | None = None
        self.know_body(body_digest)
        # The signature is good from one window before its time stamp to one behind it.
        self._expires_at = (request.timestamp_ms + WINDOW_MS + 1000) * 1000
        self._is_nsml = request.operation.service == "nsml"
        key = _idempotency_key(request) if request.operation.method == "POST" else None
        self._key = None if key is None else self._scoped(request, key)
        self._digest = sha256(request.scope["raw_path"] + b"\n" + body_digest).digest()

    def _scoped(self, request: Request, key: str) -> str:
        # By user, not by account: an answer may hold a secret, or what only a role may see. NSML's answers hold neither.
        scope = f"POST {request.scope['raw_path'].decode('latin-1')}" if self._is_nsml else request.caller.user_id
        return sha256(f"{scope} {key}".encode()).hexdigest()

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Keep others with this idempotency key waiting until the block ends; only in NSML.

        Raises:
            InUseError: one with it was under way for too long.
        """
        if self._key is None or not self._is_nsml:
            yield
            return
        with ExitStack() as stack:
            try:
                stack.enter_context(self._context.idempotency_lock.hold(self._bound_to, IDEMPOTENCY_TIMEOUT_S))
            except TimeoutError as error:
                user, remedy = "another request that is still under way", "Ask again when that one has been answered."
                raise InUseError("idempotency key", "of this request", [user], remedy) from error
            yield

    def know_body(self, body_digest: bytes) -> None:
        """Say what the body is; before that the mark is of the signature alone."""
        if self._context.settings.replay_protection:
            self._mark = sha256(self._signature + body_digest).digest()

    def refuse_replay(self) -> None:
        """Refuse early what was received before; ``mark`` decides among those that arrive together."""
        if self._mark is not None:
            with self._context.database.read() as connection:
                if requests.is_marked(connection, self._mark):
                    raise ReplayedError

    def mark(self, tx: Connection) -> None:
        """Remember the request in a transaction.

        Raises:
            ReplayedError: it was received before.
        """
        if self._mark is not None and not requests.mark(tx, self._mark, self._expires_at):
            raise ReplayedError
        if self._key is not None and requests.find_answer(tx, self._account_id, self._key, now_us()) is not None:
            raise _RaceError

    def mark_alone(self) -> None:
        """Remember the request in a transaction of its own."""
        if self._mark is not None:
            with self._context.database.write() as tx:
                if not requests.mark(tx, self._mark, self._expires_at):
                    raise ReplayedError
        self.is_kept = True

    def mark_refused(self, refusal: FootfallError) -> None:
        """Remember a request that was refused, unless it is already or the database is away."""
        if not self.is_kept and not isinstance(refusal, DatabaseUnavailableError):
            self.mark_alone()

    def first_response(self) -> Response | None:
        """Return the answer that this idempotency key got first, or None.

        Raises:
            InvalidFieldError: rule ``idempotency``: it came with another request.
        """
        if self._key is None:
            return None
        with self._context.database.read() as connection:
            known = requests.find_answer(connection, self._account_id, self._key, now_us())
        if known is None:
            return None
        if known.digest != self._digest:
            details = "x-idempotency-key was used for another request within 24 hours; take a new key for a new request."
            raise InvalidFieldError("x-idempotency-key", None, "idempotency", details)
        location, _, body = self._context.secrets.open(known.body, self._bound_to).rpartition(b"\n")
        return Response(body, known.status, headers=[(b"location", location)] if location else [])

    def remember(self, tx: Connection, response: Response) -> None:
        """Keep the answer for this idempotency key."""
        if self._key is not None:
            # JSON of ours has no line break, so whatever stands before one is where the new thing is.
            location = next((value for name, value in response.headers if name == b"location"), b"")
            sealed = self._context.secrets.seal(location + b"\n" + response.body, self._bound_to)
            first = FirstAnswer(self._digest, response.status, sealed)
            requests.remember_answer(tx, self._account_id, self._key, first, now_us() + IDEMPOTENCY_US)

    @property
    def _bound_to(self) -> str:
        return f"{self._account_id} {self._key}"


def _idempotency_key(request: Request) -> str | None:
    values = [value for name, value in request.headers if name == IDEMPOTENCY_HEADER]
    if not values:
        return None
    key = values[0].decode("latin-1")
    if len(values) > 1 or not 1 <= len(key) <= MAX_KEY_LENGTH or not key.isascii() or not key.isprintable():
        raise GatewayError(BAD_REQUEST, f"x-idempotency-key must be given once, with 1 to {MAX_KEY_LENGTH} visible characters.")
    return key
