"""The Hugging Face hub: used only for files that are missing here, and only if it is reachable."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from huggingface_hub import constants, snapshot_download

Made = TypeVar("Made")
WAIT = 4.0  # seconds for a first answer; the hub's own retries take 25 for each file
PORTS = {"http": 80, "https": 443}
FAILURES = (OSError, RuntimeError, ValueError, KeyError, ImportError)


class HubUnavailable(ConnectionError):
    """The hub would have to be asked, and cannot be; the message says why."""


def from_cache_or_hub(make: Callable[[], Made]) -> Made:
    """Return what `make` makes, from the files in the cache if they suffice.

    A model that was fetched once is loaded without a request, so nobody learns when it is used,
    and a newer upload never replaces it behind the back of a library.

    Raises:
        HubAbsent: `make` failed on the files that are here, and the hub cannot be asked.
    """
    try:
        with _offline():
            return make()
    except FAILURES as error:
        reason = why_absent()
        if reason is not None:
            raise HubUnavailable(reason) from error
    return make()


def cached_repository(repository: str) -> Path | None:
    """Return the folder of a repository's newest files in the cache; None if there are none."""
    try:
        return Path(snapshot_download(repository, local_files_only=True))
    except (OSError, ValueError):
        return None


def why_absent() -> str | None:
    """Return why the hub cannot be asked, or None if it, or the proxy before it, takes calls."""
    if constants.HF_HUB_OFFLINE:
        return "HF_HUB_OFFLINE is set"
    host, port = _first_stop(constants.ENDPOINT)
    try:
        socket.create_connection((host, port), timeout=WAIT).close()
    except OSError as error:
        return f"{constants.ENDPOINT} cannot be reached ({host}:{port}: {error})"
    return None


def _first_stop(endpoint: str) -> tuple[str, int]:
    """Return host and port of the endpoint, or of the proxy that the environment puts before it."""
    to = urlsplit(endpoint)
    proxies = getproxies()
    proxy = proxies.get(to.scheme) or proxies.get("all")
    if proxy and not proxy_bypass(to.hostname or ""):
        to = urlsplit(proxy if "//" in proxy else f"//{proxy}", scheme="http")
    return to.hostname or "", to.port or PORTS.get(to.scheme, 1080)


@contextmanager
def unlogged() -> Iterator[None]:
    """Keep the log lines of a model's package off the terminal: what matters is raised."""
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        yield
    finally:
        logging.disable(before)


@contextmanager
def _offline() -> Iterator[None]:
    """Let huggingface_hub look into its cache alone."""
    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before
