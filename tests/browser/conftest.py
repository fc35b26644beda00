"""A real browser on the page of a real server over a real library.

Every test of this folder uses `tab`: a fresh window that keeps each request and each error. A test
fails if the page wrote an error to the console, raised one, or asked any other host.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from filelock import FileLock
from playwright.sync_api import Browser, expect, sync_playwright

from tests.browser.album import Album, make_album
from tests.browser.serving import Server, serving, twinlens
from tests.browser.tab import PATIENCE, Tab

ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)

NewTab = Callable[..., Tab]


def chromium() -> str:
    """Return the path of Chromium; skip where there is none."""
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    return found or pytest.skip("there is no chromium; install it with: apt-get install chromium")


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all processes of one test run share."""
    own = tmp_path_factory.getbasetemp()
    folder = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "browser"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def album(shared: Path) -> Album:
    """The photos, made once in a test run."""
    return _indexed(shared)[0]


@pytest.fixture(scope="session")
def library(shared: Path) -> Path:
    """The library of the album, indexed once in a test run. It is only read; see `own_library`."""
    return _indexed(shared)[1]


def _indexed(shared: Path) -> tuple[Album, Path]:
    """Make album and library unless another process of the run has."""
    album, home = Album(folder=shared / "album"), shared / "library"
    with FileLock(shared / "lock"):
        if not home.exists():
            make_album(album)
            fresh = shared / "fresh"
            twinlens("index", album.folder, "--library", fresh)
            fresh.rename(home)
    return album, home


@pytest.fixture
def own_library(library: Path, tmp_path: Path) -> Path:
    """A copy of the library that a test may change, lock or break."""
    return Path(shutil.copytree(library, tmp_path / "photos.lib"))


@pytest.fixture(scope="session")
def server(library: Path) -> Iterator[Server]:
    """A server of the library for all tests that change nothing."""
    chromium()
    with serving(library) as running:
        yield running


@pytest.fixture
def own_server(own_library: Path) -> Iterator[Server]:
    """A server of `own_library`; ask for it before `new_tab`, so that tabs are closed first."""
    chromium()
    with serving(own_library) as running:
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium, for the tests of one file: playwright's loop must not outlive them."""
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium(), args=list(ARGUMENTS))
        yield started
        started.close()


@pytest.fixture
def new_tab(browser: Browser) -> Iterator[NewTab]:
    """Open tabs, each with cookies, storage and a cache of its own, and check them at the end."""
    tabs: list[Tab] = []

    def open_tab(server: Server, width: int = 1280, height: int = 800, **options: object) -> Tab:
        viewport = {"width": width, "height": height}
        context = browser.new_context(viewport=viewport, reduced_motion="reduce", **options)
        context.set_default_timeout(PATIENCE)
        tabs.append(Tab(context.new_page(), server))
        return tabs[-1]

    yield open_tab
    for tab in tabs:
        tab.close()
        tab.check()


@pytest.fixture
def tab(new_tab: NewTab, server: Server) -> Tab:
    """One tab on the shared server, 1,280 pixels wide."""
    return new_tab(server)
