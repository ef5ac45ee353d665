"""One table from our exceptions to HTTP status, code and symbol. One shape for the gateway's errors and the service's.

``{"error": {"errorCode": "10102", "message": "DUPLICATE_NAME", "details": "one sentence"}}``

NSML documents no codes of its own: there the service's errors bear their HTTP status as code. What the gateway refuses looks
the same everywhere.

Words of ``InvalidFieldError.rule``:

=================  ==============================================================
``missing``        a required field is not there
``type``           a field is of another kind
``json``           the body is no JSON, or too deep
``range``          a number is out of range
``name``           a name is empty, has blanks at its ends or control characters
``too_long``       a name is too long
``path``           a path breaks the path rule
``bucket_name``    a bucket's name breaks the rule
``missing_object`` there is no such bucket or object, or it is another account's
``personal_data``  a data set holds personal data
``incomplete``     a test set of which only some fields were given
``choice``         a value is none of those allowed
``pattern``        a value is not of the form that is asked for
``idempotency``    an idempotency key came before with another request
=================  ==============================================================
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from footfall.api.http.responses import Headers, Response
from footfall.errors import (
    AlreadyExistsError,
    DatabaseUnavailableError,
    FootfallError,
    IncompatibleError,
    InUseError,
    InvalidFieldError,
    NotAllowedError,
    NotAuthenticatedError,
    NotFoundError,
    ObjectNotFoundError,
    QuotaExceededError,
    ReportMissingError,
    ShortageError,
    StoreDeniedError,
    StoreError,
    StoreFullError,
    WrongStateError,
)


@dataclass(frozen=True, slots=True)
class Code:
    """One line of the reference: what an error looks like on the wire."""

    status: int
    code: str
    message: str
    meaning: str
    is_documented: bool = True


class GatewayError(FootfallError):
    """A refusal of the gateway: before, or instead of, the service."""

    code = "gateway"

    def __init__(self, kind: Code, details: str = "", headers: Headers | None = None) -> None:
        super().__init__(details or kind.meaning)
        self.kind, self.headers = kind, headers or []


BAD_REQUEST = Code(400, "100", "Bad Request Exception", "The request is not well formed.")
AUTHENTICATION_FAILED = Code(401, "200", "Authentication Failed", "Invalid authentication information.")
PERMISSION_DENIED = Code(401, "210", "Permission Denied", "A subscription to the API is required.")
FORBIDDEN = Code(403, "230", "Forbidden", "The role of this user does not allow it.")
NOT_FOUND = Code(404, "300", "Not Found Exception", "URL not found.")
WRONG_METHOD = Code(405, "300", "Not Found Exception", "This URL knows other methods only.", False)
THROTTLED = Code(429, "410", "Throttle Limited", "Too many requests; wait as long as Retry-After says.")
TOO_LARGE = Code(413, "430", "Request Entity Too Large", "The body is larger than allowed.")
UNAVAILABLE = Code(503, "500", "Endpoint Error", "The service cannot do this now; try again.")
TIMED_OUT = Code(408, "510", "Endpoint Timeout", "The body did not arrive in time.", False)
UNEXPECTED = Code(500, "900", "Unexpected Error", "Something broke; the log names it under the trace id.")

ACCESS_DENIED = Code(401, "10100", "ACCESS_DENIED", "The role of this user does not allow it.")
NAME_TOO_LONG = Code(422, "10101", "NAME_TOO_LONG", "A name has more than 100 characters.")
DUPLICATE_NAME = Code(409, "10102", "DUPLICATE_NAME", "The account has one of this kind and name.")
BAD_PATH = Code(422, "10103", "INVALID_PATH_CHARACTER", "A path breaks the path rule.")
BAD_TRAIN_PATH = Code(422, "10104", "INVALID_CHARACTER_IN_TRAIN_PATH", "train_file_path breaks the path rule.")
BAD_TEST_PATH = Code(422, "10105", "INVALID_CHARACTER_IN_TEST_PATH", "test_file_path breaks the path rule.")
PATH_NOT_FOUND = Code(404, "10106", "PATH_NOT_FOUND", "There is no such bucket or object.")
TRAIN_PATH_NOT_FOUND = Code(404, "10107", "TRAIN_PATH_NOT_FOUND", "There is no such bucket or object with train labels.")
TEST_PATH_NOT_FOUND = Code(404, "10108", "TEST_PATH_NOT_FOUND", "There is no such bucket or object with test labels.")
PERSONAL_DATA = Code(422, "10109", "PERSONAL_DATA_NOT_ALLOWED", "The data set holds personal data.")
INVALID_REQUEST = Code(422, "10200", "INVALID_REQUEST", "A field is missing, of another kind or out of range.", False)
INVALID_JSON = Code(400, "10200", "INVALID_REQUEST", "The body is no JSON object.", False)
NO_SUCH = Code(404, "10201", "NOT_FOUND", "There is no such thing in this account.", False)
IN_USE = Code(409, "10202", "RESOURCE_IN_USE", "It runs, or something unfinished uses it.", False)
NOT_READY = Code(409, "10203", "DEPENDENCY_NOT_COMPLETED", "What it needs is not completed.", False)
INCOMPATIBLE = Code(422, "10204", "INCOMPATIBLE_FEATURE", "The features were not made by one encoder.", False)
RESULT_EXISTS = Code(409, "10205", "RESULT_EXISTS", "An object is, or will be, where the result should go.", False)
INCOMPLETE_TEST_SET = Code(422, "10206", "INCOMPLETE_TEST_SET", "Some of test_* are given, but not all.", False)
NOT_COMPLETED = Code(409, "10207", "NOT_COMPLETED", "It is not completed, so there is nothing to download.", False)
LIMIT_REACHED = Code(409, "10208", "LIMIT_REACHED", "The account has as many as it may.", False)
ALREADY_ENDED = Code(409, "10209", "ALREADY_ENDED", "It has ended; nothing is left to cancel.", False)
NO_REPORT = Code(404, "10210", "REPORT_NOT_FOUND", "The task is older than reports; train it again.", False)

NSML_BAD_REQUEST = Code(400, "400", "Bad Request", "A field or the body is not as it should be, or a name is taken.")
NSML_NOT_FOUND = Code(404, "404", "Not Found", "There is no such thing in this account.")
NSML_NOT_ACCEPTED = Code(406, "406", "Not Accepted", "The request is valid, and the state of things refuses it.")
NSML_BROKEN = Code(500, "500", "Internal Server Error", "Something broke; the log names it under the trace id.")

CODES = tuple(value for value in list(globals().values()) if isinstance(value, Code))
"""Every error that can be answered, for the reference page and OpenAPI."""

_FIELD_RULES: dict[str, Code | dict[str, Code]] = {
    "json": INVALID_JSON,
    "too_long": NAME_TOO_LONG,
    "path": {"train_file_path": BAD_TRAIN_PATH, "test_file_path": BAD_TEST_PATH, "": BAD_PATH},
    "missing_object": {
        "train_bucket": TRAIN_PATH_NOT_FOUND,
        "train_file_path": TRAIN_PATH_NOT_FOUND,
        "test_bucket": TEST_PATH_NOT_FOUND,
        "test_file_path": TEST_PATH_NOT_FOUND,
        "": PATH_NOT_FOUND,
    },
    "personal_data": PERSONAL_DATA,
    "incomplete": INCOMPLETE_TEST_SET,
}


def _of_field(error: InvalidFieldError) -> Code:
    code = _FIELD_RULES.get(error.rule, INVALID_REQUEST)
    return code if isinstance(code, Code) else code.get(error.field, code[""])


def _of_state(error: WrongStateError) -> Code:
    if error.allowed == ("completed",):
        return NOT_READY
    if error.allowed == ("available",):
        return NOT_COMPLETED
    return IN_USE if error.allowed == ("stopped",) else ALREADY_ENDED


_TABLE: tuple[tuple[type[FootfallError], Code | Callable[[Any], Code]], ...] = (
    (GatewayError, lambda error: error.kind),
    (InvalidFieldError, _of_field),
    (ReportMissingError, NO_REPORT),
    (NotFoundError, NO_SUCH),
    (AlreadyExistsError, lambda error: RESULT_EXISTS if error.kind == "result" else DUPLICATE_NAME),
    (WrongStateError, _of_state),
    (InUseError, IN_USE),
    (IncompatibleError, INCOMPATIBLE),
    (ShortageError, NOT_READY),
    (QuotaExceededError, LIMIT_REACHED),
    (NotAuthenticatedError, AUTHENTICATION_FAILED),
    (NotAllowedError, FORBIDDEN),
    (ObjectNotFoundError, PATH_NOT_FOUND),
    (StoreDeniedError, PATH_NOT_FOUND),
    (StoreFullError, UNAVAILABLE),
    (StoreError, UNAVAILABLE),
    (DatabaseUnavailableError, UNAVAILABLE),
)

_NSML: tuple[tuple[type[FootfallError], Code], ...] = (
    (InvalidFieldError, NSML_BAD_REQUEST),
    (AlreadyExistsError, NSML_BAD_REQUEST),
    (NotFoundError, NSML_NOT_FOUND),
    (ObjectNotFoundError, NSML_NOT_FOUND),
    (WrongStateError, NSML_NOT_ACCEPTED),
    (InUseError, NSML_NOT_ACCEPTED),
    (QuotaExceededError, NSML_NOT_ACCEPTED),
    (ShortageError, NSML_NOT_ACCEPTED),
    (StoreDeniedError, NSML_NOT_ACCEPTED),
)


class ErrorBody(msgspec.Struct, rename="camel"):
    """What went wrong: a code, its symbol or message, and a sentence."""

    error_code: str
    message: str
    details: str


class ErrorEnvelope(msgspec.Struct):
    """The body of every answer that is no success."""

    error: ErrorBody


def code_of(error: FootfallError, service: str = "") -> Code:
    """Return what an error of a service is on the wire; one that is in no table is ours to mend: 900, of NSML 500."""
    if service == "nsml":
        for kind, nsml_code in _NSML:
            if isinstance(error, kind):
                return nsml_code
    for kind, code in _TABLE:
        if isinstance(error, kind):
            return code if isinstance(code, Code) else code(error)
    return unexpected(service)


def unexpected(service: str) -> Code:
    """Return the code of what nobody expected."""
    return NSML_BROKEN if service == "nsml" else UNEXPECTED


def error_response(error: FootfallError, service: str = "") -> Response:
    """Return the answer of a service for an error."""
    code = code_of(error, service)
    details = code.meaning if code in (UNEXPECTED, NSML_BROKEN) else str(error)
    response = plain_error_response(code, details)
    if isinstance(error, GatewayError):
        response.headers = list(error.headers)
    if code is UNAVAILABLE:
        response.headers.append((b"retry-after", b"5"))
    return response


def plain_error_response(code: Code, details: str = "") -> Response:
    """Return the answer for a line of the table."""
    body = msgspec.json.encode(ErrorEnvelope(ErrorBody(code.code, code.message, details or code.meaning)))
    return Response(body, code.status)
