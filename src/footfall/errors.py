"""Every exception Footfall raises on purpose.

::

    FootfallError                       .code: stable word for programs; str(): a sentence for people
    ├── InputError                      the caller can fix it
    │   ├── InvalidFieldError           .field .value .rule
    │   ├── NotFoundError               .kind .id
    │   │   └── ReportMissingError      the task is of a release that made no reports
    │   ├── AlreadyExistsError          .kind .name
    │   ├── WrongStateError             .kind .id .state .allowed
    │   ├── InUseError                  .kind .id .used_by
    │   ├── IncompatibleError           .details
    │   ├── ShortageError               .lacking
    │   └── QuotaExceededError          .quota .used .asked
    ├── AccessError
    │   ├── NotAuthenticatedError       .missing
    │   └── NotAllowedError             .action .resource
    ├── DataError                       the user's data set is wrong: .name .path .line
    ├── ExecutorError
    │   ├── ExecutorUnavailableError    retry later
    │   └── SubmitRejectedError         never will
    ├── StoreError                      .operation: read, write or list
    │   ├── ObjectNotFoundError         .path
    │   │   └── BucketNotFoundError
    │   ├── StoreDeniedError            the store refuses our credentials
    │   ├── StoreUnavailableError       retry later
    │   └── StoreFullError              no space left
    ├── DatabaseUnavailableError        no space, locked for too long, or away
    ├── ConfigError                     .setting
    └── ServiceError                    an answer of the service that a client could not use: .status .error_code .symbol

Domain code raises these with data and knows neither HTTP statuses nor exit codes; the edges map them.
"""

from collections.abc import Sequence


class FootfallError(Exception):
    """Root of all our errors; ``code`` is a stable word for programs."""

    code = "error"


class InputError(FootfallError):
    """The caller asked for something that cannot be; the caller can fix it."""

    code = "input"


class InvalidFieldError(InputError):
    """A field of a request breaks a rule. ``rule`` is a word such as ``too_long``, see ``api/http/errors.py``."""

    code = "invalid_field"

    def __init__(self, field: str, value: object, rule: str, details: str) -> None:
        super().__init__(details)
        self.field, self.value, self.rule = field, value, rule


class NotFoundError(InputError):
    """No such thing, or it is another account's."""

    code = "not_found"

    def __init__(self, kind: str, id: str, details: str = "") -> None:
        super().__init__(details or f"There is no {kind} {id!r} in this account. List them to see which there are.")
        self.kind, self.id = kind, id


class ReportMissingError(NotFoundError):
    """The task is there, its report is not: it was learned by a release that made none."""

    code = "report_missing"


class AlreadyExistsError(InputError):
    """The name is taken."""

    code = "already_exists"

    def __init__(self, kind: str, name: str, details: str = "") -> None:
        article = "An" if kind[0] in "aeio" else "A"
        super().__init__(details or f"{article} {kind} named {name!r} exists already. Choose another name or delete that one.")
        self.kind, self.name = kind, name


class WrongStateError(InputError):
    """The thing is not in a state that allows this."""

    code = "wrong_state"

    def __init__(self, kind: str, id: str, state: str, allowed: Sequence[str], details: str = "") -> None:
        super().__init__(details or f"The {kind} {id} is {state}; this needs it to be {' or '.join(allowed)}.")
        self.kind, self.id, self.state, self.allowed = kind, id, state, tuple(allowed)


class InUseError(InputError):
    """Something that still lives depends on it."""

    code = "in_use"

    def __init__(self, kind: str, id: str, used_by: Sequence[str], remedy: str = "Wait until it ends, or cancel it.") -> None:
        super().__init__(f"The {kind} {id} is used by {', '.join(used_by)}. {remedy}")
        self.kind, self.id, self.used_by = kind, id, tuple(used_by)


class IncompatibleError(InputError):
    """Two things that must fit together do not."""

    code = "incompatible"


class ShortageError(InputError):
    """What was asked for could not be given even if nothing else were there. ``lacking``: what is short, one sentence each."""

    code = "shortage"

    def __init__(self, details: str, lacking: Sequence[str] = ()) -> None:
        super().__init__(details)
        self.lacking = tuple(lacking)


class QuotaExceededError(InputError):
    """A limit on a number of things is reached."""

    code = "quota_exceeded"

    def __init__(self, quota: str, used: int, asked: int) -> None:
        super().__init__(f"The limit on {quota} is {used}; {asked} more would pass it. Delete some, or raise the limit.")
        self.quota, self.used, self.asked = quota, used, asked


class AccessError(FootfallError):
    """The caller may not do this."""

    code = "access"


class NotAuthenticatedError(AccessError):
    """We do not know who calls. ``missing``: the authentication headers were not all there."""

    code = "not_authenticated"

    def __init__(self, details: str = "Invalid authentication information.", *, missing: bool = False) -> None:
        super().__init__("Authentication information are missing." if missing else details)
        self.missing = missing


class NotAllowedError(AccessError):
    """We know who calls, and the role does not allow this."""

    code = "not_allowed"

    def __init__(self, action: str, resource: str) -> None:
        super().__init__(f"The role of this user does not allow to {action} {resource}. Ask a manager of the account.")
        self.action, self.resource = action, resource


class DataError(FootfallError):
    """The user's data set is wrong. ``name`` is the contract's word for it, e.g. ``DUPLICATE_USERID``."""

    code = "bad_data"

    def __init__(self, name: str, details: str, *, path: str | None = None, line: int | None = None) -> None:
        where = "" if path is None else f"{path}: " if line is None else f"{path}, line {line}: "
        super().__init__(where + details)
        self.name, self.path, self.line = name, path, line


class ExecutorError(FootfallError):
    """The executor could not do it."""

    code = "executor"


class ExecutorUnavailableError(ExecutorError):
    """The executor cannot be reached now; try again later."""

    code = "executor_unavailable"


class SubmitRejectedError(ExecutorError):
    """The executor will never accept this run."""

    code = "submit_rejected"


class StoreError(FootfallError):
    """The object store failed. ``operation`` is read, write or list."""

    code = "store"

    def __init__(self, details: str, *, operation: str = "read") -> None:
        super().__init__(details)
        self.operation = operation


class ObjectNotFoundError(StoreError):
    """There is no object at ``path``."""

    code = "object_not_found"

    def __init__(self, path: str) -> None:
        super().__init__(f"There is no object {path}.")
        self.path = path


class BucketNotFoundError(ObjectNotFoundError):
    """There is no bucket of this name, or it is not ours to use."""

    code = "bucket_not_found"

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.args = (f"There is no bucket {name!r} in this account; make it, or have it granted.",)


class StoreDeniedError(StoreError):
    """The store refuses us: credentials, permissions, or a link that leads out of it."""

    code = "store_denied"


class StoreUnavailableError(StoreError):
    """The store does not answer or broke off; try again later."""

    code = "store_unavailable"


class StoreFullError(StoreError):
    """No space is left in the store."""

    code = "store_full"


class ConfigError(FootfallError):
    """A setting is wrong; the program does not start."""

    code = "config"

    def __init__(self, setting: str, details: str) -> None:
        super().__init__(f"{setting}: {details}")
        self.setting = setting


class ServiceError(FootfallError):
    """The service answered with an error, or not at all (``status`` 0)."""

    code = "service"

    def __init__(self, status: int, error_code: str, symbol: str, details: str, trace_id: str = "") -> None:
        super().__init__(details or symbol)
        self.status, self.error_code, self.symbol, self.trace_id = status, error_code, symbol, trace_id


class DatabaseUnavailableError(FootfallError):
    """The database cannot be read or written now: no space, locked for too long, or away."""

    code = "database_unavailable"
