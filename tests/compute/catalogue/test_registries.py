"""Image repositories: only hosts that are allowed are contacted, and one that does not answer costs nobody anything."""

import socket
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from engine_helpers import eventually
from footfall.compute.catalogue import registries
from footfall.compute.catalogue.registries import RegistryCatalogs, check_host, seal
from footfall.db.engine.encryption import Secrets, open_secrets
from footfall.db.images import Registry
from footfall.errors import InvalidFieldError

EP = "team.private-ncr.ntruss.com"


@pytest.fixture
def secrets(tmp_path: Path) -> Secrets:
    return open_secrets(tmp_path / "secret" / "key")


@pytest.fixture
def requested(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Names that somebody wanted to resolve; nothing is."""
    names: list[Any] = []

    def refuse(host: Any, *_: Any, **__: Any) -> Any:
        names.append(host)
        raise socket.gaierror("no network in tests")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    return names


def stored(secrets: Secrets, host: str) -> Registry:
    return seal(secrets, "account", host, "access", "secret-of-twelve")[0]


def test_row_13_a_host_that_is_not_allowed_is_never_contacted(secrets: Secrets, requested: list[Any]) -> None:
    catalogs = RegistryCatalogs(secrets, ())
    for host in ("169.254.169.254", "localhost", "evil.example.com", "x.private-ncr.ntruss.com.evil.example.com"):
        with pytest.raises(InvalidFieldError):
            catalogs.images_of("account", [stored(secrets, host)])
    assert requested == []
    assert catalogs.images_of("account", [stored(secrets, EP)]) == []
    assert requested == [EP]


def test_a_host_of_the_operators_choice_may_be_used_and_answers_are_kept(secrets: Secrets, requested: list[Any]) -> None:
    catalogs = RegistryCatalogs(secrets, ("harbor.example.com",))
    assert check_host("Harbor.example.com", ("harbor.example.com",)) == "harbor.example.com"
    for _ in range(3):
        assert catalogs.images_of("account", [stored(secrets, "harbor.example.com")]) == []
    assert requested == ["harbor.example.com"]
    catalogs.forget("account", "harbor.example.com")
    catalogs.images_of("account", [stored(secrets, "harbor.example.com")])
    assert len(requested) == 2


def test_what_a_repository_says_becomes_paths(secrets: Secrets, monkeypatch: pytest.MonkeyPatch) -> None:
    replies: dict[str, dict[str, Any]] = {
        f"https://{EP}/v2/_catalog?n={registries.MAX_REPOSITORIES}": {"repositories": ["team/train", "bare"]},
        f"https://{EP}/v2/team/train/tags/list": {"tags": ["v1", "v2"]},
        f"https://{EP}/v2/bare/tags/list": {"tags": None},
    }
    catalogs = RegistryCatalogs(secrets, ())
    monkeypatch.setattr(catalogs, "_get", lambda url, login, deadline: replies[url])
    assert catalogs.images_of("account", [stored(secrets, EP)]) == [f"{EP}/team/train:v1", f"{EP}/team/train:v2"]


def test_repositories_are_requested_at_once_and_until_one_deadline_and_what_is_known_is_answered(
    secrets: Secrets, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registries, "LIST_TIMEOUT_S", 0.5)
    catalogs = RegistryCatalogs(secrets, ())
    go_on = threading.Event()

    def answer(url: str, login: object, deadline: float) -> dict[str, Any]:
        if "//slow" in url:
            go_on.wait(20)
        return {"tags": ["v1"]} if url.endswith("/tags/list") else {"repositories": ["a"]}

    monkeypatch.setattr(catalogs, "_get", answer)
    hosts = [*(f"slow{n}.private-ncr.ntruss.com" for n in range(19)), EP]
    known = [stored(secrets, host) for host in hosts]
    started = time.monotonic()
    assert catalogs.images_of("account", known) == [f"{EP}/a:v1"]
    n_threads = threading.active_count()
    assert catalogs.images_of("account", known) == [f"{EP}/a:v1"]
    assert time.monotonic() - started < 5
    assert threading.active_count() <= n_threads  # nobody is requested twice at once
    go_on.set()
    assert catalogs.images_of("account", known) == [f"{host}/a:v1" for host in hosts]


def test_one_that_says_a_little_now_and_then_is_not_listened_to_for_ever(
    secrets: Secrets, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Dripping:
        status = 200

        def read1(self, size: int) -> bytes:
            time.sleep(0.05)
            return b" "

        def close(self) -> None:
            pass

    monkeypatch.setattr(registries, "LIST_TIMEOUT_S", 0.3)
    catalogs = RegistryCatalogs(secrets, ())
    monkeypatch.setattr(catalogs._http, "request", lambda *_, **__: Dripping())
    before = threading.active_count()
    assert catalogs.images_of("account", [stored(secrets, EP)]) == []
    eventually(lambda: threading.active_count() <= before, 5.0)


def test_a_login_opens_only_for_its_account_and_host(secrets: Secrets) -> None:
    from footfall.db.engine.encryption import SecretUnreadableError
    from footfall.db.images import bound_to

    sealed = stored(secrets, EP).secret
    assert secrets.open(sealed, bound_to("account", EP)) == b"secret-of-twelve"
    with pytest.raises(SecretUnreadableError):
        secrets.open(sealed, bound_to("other", EP))
