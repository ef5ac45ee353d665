"""Image registries: whose login may be stored, and their catalogs. Only allowed hosts are ever contacted.

Source: CLOVA NSML's page on creating an image repository; Docker Registry HTTP API v2, ``/v2/_catalog`` and ``tags/list``.
"""

import json
import re
import time
from collections.abc import Collection, Sequence
from functools import partial
from typing import Any
from urllib.parse import quote

import structlog
import urllib3

from footfall.compute.stale_cache import StaleCache
from footfall.db.engine.encryption import Secrets
from footfall.db.engine.engine import from_us, now_us
from footfall.db.images import Registry, bound_to
from footfall.errors import InvalidFieldError

log = structlog.get_logger("footfall.compute")

DOMAIN = ".private-ncr.ntruss.com"
MAX_KEY, MAX_SECRET = 200, 4000
TTL_S = 60.0
REQUEST_TIMEOUT_S, LIST_TIMEOUT_S = 3.0, 5.0
"""For one request to a repository, and for all to all."""
MAX_AT_ONCE = 64
"""Repositories that are being asked; of others what was last known is told."""
MAX_IMAGES = 1000
MAX_REPOSITORIES = 50
_MAX_BYTES = 1 << 20
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
    """What image repositories say they have, asked again after ``TTL_S``, all at once, in the background."""

    def __init__(self, secrets: Secrets, allowed: Collection[str]) -> None:
        self._secrets, self._allowed = secrets, allowed
        self._images: StaleCache[tuple[str, str], list[str]] = StaleCache("registry", TTL_S, MAX_AT_ONCE)
        self._http = urllib3.PoolManager(retries=False, timeout=urllib3.Timeout(total=REQUEST_TIMEOUT_S))

    def images_of(self, account_id: str, registries: Sequence[Registry]) -> list[str]:
        """Return the images of repositories as ``host/name:tag``, as far as they are known after ``LIST_TIMEOUT_S`` at most.

        Raises:
            InvalidFieldError: a host is not allowed any more.
        """
        deadline = time.monotonic() + LIST_TIMEOUT_S
        threads, keys = [], []
        for registry in registries:
            host = check_host(registry.private_ep, self._allowed)
            secret = self._secrets.open(registry.secret, bound_to(account_id, host)).decode()
            login = urllib3.make_headers(basic_auth=f"{registry.access_key}:{secret}")
            keys.append((account_id, host))
            threads.append(self._images.refresh(keys[-1], partial(self._ask, host, login)))
        for thread in threads:
            if thread is not None:
                thread.join(max(0.0, deadline - time.monotonic()))
        return [image for key in keys for image in self._images.peek(key) or ()]

    def forget(self, account_id: str, private_ep: str) -> None:
        """Ask anew when asked next."""
        self._images.forget((account_id, private_ep))

    def _ask(self, host: str, login: dict[str, str]) -> list[str]:
        images: list[str] = []
        try:
            self._list(host, login, images)
        except (urllib3.exceptions.HTTPError, ValueError, AttributeError, TypeError) as error:
            log.info("registry_not_listed", host=host, error=type(error).__name__)
        return images[:MAX_IMAGES]

    def _list(self, host: str, login: dict[str, str], images: list[str]) -> None:
        deadline = time.monotonic() + LIST_TIMEOUT_S
        names = self._get(f"https://{host}/v2/_catalog?n={MAX_REPOSITORIES}", login, deadline).get("repositories") or []
        for name in names[:MAX_REPOSITORIES]:
            path = quote(str(name), safe="/")
            tags = self._get(f"https://{host}/v2/{path}/tags/list", login, deadline).get("tags") or []
            images += [f"{host}/{name}:{tag}" for tag in tags]

    def _get(self, url: str, login: dict[str, str], deadline: float) -> dict[str, Any]:
        answer = self._http.request("GET", url, headers=login, redirect=False, preload_content=False)
        try:
            if answer.status != 200:
                raise ValueError(f"status {answer.status}")
            content = bytearray()
            while len(content) <= _MAX_BYTES and (piece := answer.read1(1 << 16)):
                content += piece
                if time.monotonic() > deadline:  # a timeout of the socket never comes to one that says a little now and then
                    raise ValueError("too slow")
            catalog: dict[str, Any] = json.loads(content)
            return catalog
        finally:
            answer.close()
