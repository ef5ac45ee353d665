"""Image repositories: whose login may be stored, and what they say they have. Only hosts that are allowed are ever contacted.

Source: CLOVA NSML's page on creating an image repository; Docker Registry HTTP API v2, ``/v2/_catalog`` and ``tags/list``.
"""

import json
import re
import threading
import time
from collections.abc import Collection, Sequence
from typing import Any
from urllib.parse import quote

import structlog
import urllib3

from footfall.db.engine.encryption import Secrets
from footfall.db.engine.engine import from_us, now_us
from footfall.db.images import Registry, bound_to
from footfall.errors import InvalidFieldError

log = structlog.get_logger("footfall.compute")

DOMAIN = ".private-ncr.ntruss.com"
MAX_KEY, MAX_SECRET = 200, 4000
KEPT_S = 60.0
TIMEOUT_S, PATIENCE_S = 3.0, 5.0
"""For one question to a repository, and for all to all."""
MOST_AT_ONCE = 64
"""Repositories that are being asked; of others what was last known is told."""
MAX_IMAGES = 1000
MAX_REPOSITORIES = 50
_MAX_BYTES = 1 << 20
_Key = tuple[str, str]
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z]{2,4})?", re.ASCII)
"""A name, and the region as in the documented sample."""


def check_host(private_ep: str, allowed: Collection[str]) -> str:
    """Return a host, in lower case, whose login may be stored.

    Args:
        allowed: hosts of the operator's choice beside those of NAVER Cloud Platform.

    Raises:
        InvalidFieldError: rule ``choice``: it is none of those, or more than a host.
    """
    host = private_ep.lower() if private_ep.isascii() else ""
    if host in allowed or (host.endswith(DOMAIN) and _LABEL.fullmatch(host.removesuffix(DOMAIN))):
        return host
    details = (
        f"privateEp is {private_ep[:100]!r}; give the bare name of a host that ends with {DOMAIN[1:]}, without scheme, port, "
        "user and path, or one that the operator allows in registry_hosts."
    )
    raise InvalidFieldError("privateEp", private_ep, "choice", details)


def seal(secrets: Secrets, account_id: str, private_ep: str, access_key: str, secret_key: str) -> tuple[Registry, int]:
    """Return a login with its secret sealed, and the time of its making in microseconds.

    Raises:
        InvalidFieldError: a key is empty, too long, or holds control characters.
    """
    for field, value, longest in (("accessKey", access_key, MAX_KEY), ("secretKey", secret_key, MAX_SECRET)):
        if not 1 <= len(value) <= longest or not value.isprintable():
            details = f"{field} has {len(value)} characters; give 1 to {longest} visible ones."
            raise InvalidFieldError(field, None, "too_long", details)
    now = now_us()
    sealed = secrets.seal(secret_key.encode(), bound_to(account_id, private_ep))
    # Of a short one nothing is shown, for four characters would be most of it.
    end = secret_key[-4:] if len(secret_key) >= 12 else ""
    return Registry(private_ep, access_key, sealed, end, from_us(now)), now


class RegistryCatalogs:
    """What image repositories say they have, asked again after ``KEPT_S``, all at once, by threads that nobody waits for long."""

    def __init__(self, secrets: Secrets, allowed: Collection[str]) -> None:
        self._secrets, self._allowed, self._lock = secrets, allowed, threading.Lock()
        self._known: dict[_Key, tuple[list[str], float]] = {}
        self._asking: dict[_Key, threading.Thread] = {}
        self._n_asking = 0
        self._http = urllib3.PoolManager(retries=False, timeout=urllib3.Timeout(total=TIMEOUT_S))

    def images_of(self, account_id: str, registries: Sequence[Registry]) -> list[str]:
        """Return the images of repositories as ``host/name:tag``, as far as they are known after ``PATIENCE_S`` at most.

        Raises:
            InvalidFieldError: a host is not allowed any more.
        """
        deadline = time.monotonic() + PATIENCE_S
        asked = [self._begin(account_id, registry) for registry in registries]
        for thread in asked:
            if thread is not None:
                thread.join(max(0.0, deadline - time.monotonic()))
        with self._lock:
            known = [self._known.get((account_id, registry.private_ep)) for registry in registries]
        return [image for each in known if each is not None for image in each[0]]

    def forget(self, account_id: str, private_ep: str) -> None:
        """Ask anew when asked next."""
        with self._lock:
            self._known.pop((account_id, private_ep), None)
            self._asking.pop((account_id, private_ep), None)

    def _begin(self, account_id: str, registry: Registry) -> threading.Thread | None:
        """Return the thread that asks a repository; None when nobody needs to, or too many do."""
        key = (account_id, registry.private_ep)
        host = check_host(registry.private_ep, self._allowed)
        with self._lock:
            known, thread = self._known.get(key), self._asking.get(key)
            if thread is not None:
                return thread
            if self._n_asking >= MOST_AT_ONCE or (known is not None and time.monotonic() - known[1] < KEPT_S):
                return None
            secret = self._secrets.open(registry.secret, bound_to(account_id, host)).decode()
            login = urllib3.make_headers(basic_auth=f"{registry.access_key}:{secret}")
            thread = threading.Thread(target=self._ask, args=(key, host, login), name="registry", daemon=True)
            thread.start()
            self._asking[key] = thread
            self._n_asking += 1
            return thread

    def _ask(self, key: _Key, host: str, login: dict[str, str]) -> None:
        found: list[str] = []
        try:
            self._list(host, login, found)
        except (urllib3.exceptions.HTTPError, ValueError, AttributeError, TypeError) as error:
            log.info("registry_not_listed", host=host, error=type(error).__name__)
        finally:
            with self._lock:
                self._n_asking -= 1
                if self._asking.get(key) is threading.current_thread():  # else its login was forgotten meanwhile
                    self._known[key] = (found[:MAX_IMAGES], time.monotonic())
                    del self._asking[key]

    def _list(self, host: str, login: dict[str, str], found: list[str]) -> None:
        deadline = time.monotonic() + PATIENCE_S
        names = self._get(f"https://{host}/v2/_catalog?n={MAX_REPOSITORIES}", login, deadline).get("repositories") or []
        for name in names[:MAX_REPOSITORIES]:
            path = quote(str(name), safe="/")
            tags = self._get(f"https://{host}/v2/{path}/tags/list", login, deadline).get("tags") or []
            found += [f"{host}/{name}:{tag}" for tag in tags]

    def _get(self, url: str, login: dict[str, str], deadline: float) -> dict[str, Any]:
        answer = self._http.request("GET", url, headers=login, redirect=False, preload_content=False)
        try:
            if answer.status != 200:
                raise ValueError(f"status {answer.status}")
            content = bytearray()
            while len(content) <= _MAX_BYTES and (piece := answer.read1(1 << 16)):
                content += piece
                if (
                    time.monotonic() > deadline
                ):  # a timeout of the socket never comes to one that says a little now and then
                    raise ValueError("too slow")
            found: dict[str, Any] = json.loads(content)
            return found
        finally:
            answer.close()
