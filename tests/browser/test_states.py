"""What the page shows when the server ends, and when the library goes away, is locked or breaks."""

from __future__ import annotations

import re
import shutil
import sqlite3
from pathlib import Path

from playwright.sync_api import Locator, expect

from tests.browser.album import Album
from tests.browser.conftest import NewTab
from tests.browser.serving import Server, serving, twinlens
from tests.browser.tab import Tab

BACK_WITHIN = 20_000  # milliseconds


def alert(tab: Tab) -> Locator:
    """Return what says that something is wrong."""
    return tab.page.get_by_role("alert")


def test_the_server_ends_and_comes_back(own_library: Path, new_tab: NewTab) -> None:
    with serving(own_library) as first:
        tab = new_tab(first)
        tab.expect_error("ERR_CONNECTION_REFUSED|ERR_EMPTY_RESPONSE|ERR_INCOMPLETE_CHUNKED")
        tab.open("q=a+cat")
        expect(tab.names.first).to_have_text("cat.jpg")
    tab.search("a cup of coffee")
    expect(alert(tab)).to_contain_text("The server does not answer")
    expect(tab.names.first).to_have_text("cat.jpg")  # what was found stays
    with serving(own_library, port=first.port):
        expect(tab.names.first).to_have_text("coffee-small.jpg", timeout=BACK_WITHIN)  # by itself
        expect(alert(tab)).to_have_count(0)
        tab.close()


def test_the_library_vanishes_and_comes_back(
    own_server: Server, own_library: Path, new_tab: NewTab
) -> None:
    tab = new_tab(own_server)
    tab.expect_error("503")
    tab.open()
    expect(tab.names.first).to_be_visible()
    away = own_library.rename(own_library.with_name("away"))
    tab.search("a cat")
    expect(alert(tab)).to_contain_text(re.compile("no library at", re.I), timeout=BACK_WITHIN)
    away.rename(own_library)
    expect(tab.names.first).to_have_text("cat.jpg", timeout=BACK_WITHIN)  # by itself
    expect(alert(tab)).to_have_count(0)


def test_the_library_is_damaged_and_mended(
    own_server: Server, own_library: Path, new_tab: NewTab
) -> None:
    tab = new_tab(own_server)
    tab.expect_error("503")
    tab.open()
    expect(tab.names.first).to_be_visible()
    catalog = own_library / "catalog.sqlite"
    kept = shutil.copy(catalog, own_library.with_name("kept.sqlite"))
    broken = own_library.with_name("broken.sqlite")
    broken.write_bytes(b"not a catalog" * 1000)
    broken.rename(catalog)
    tab.search("a cat")
    expect(alert(tab)).to_contain_text(re.compile("damaged", re.I), timeout=BACK_WITHIN)
    Path(kept).rename(catalog)
    expect(tab.names.first).to_have_text("cat.jpg", timeout=BACK_WITHIN)


def test_the_library_is_locked_and_freed(own_library: Path, new_tab: NewTab) -> None:
    locker = sqlite3.connect(own_library / "catalog.sqlite", isolation_level=None)
    locker.execute("PRAGMA locking_mode=EXCLUSIVE")
    locker.execute("BEGIN EXCLUSIVE")
    with serving(own_library) as running:
        tab = new_tab(running)
        tab.expect_error("409")
        tab.open("q=a+cat")
        told = tab.page.get_by_role("heading", name="The library is being changed")
        expect(told).to_be_visible(timeout=BACK_WITHIN)
        locker.execute("ROLLBACK")
        locker.close()
        expect(tab.names.first).to_have_text("cat.jpg", timeout=BACK_WITHIN)  # by itself
        expect(told).to_have_count(0)
        tab.close()


def test_an_empty_library_says_how_to_fill_it(
    tmp_path: Path, album: Album, new_tab: NewTab
) -> None:
    library, photos = tmp_path / "new.lib", tmp_path / "photos"
    photos.mkdir()
    twinlens("index", photos, "--library", library)
    with serving(library) as running:
        tab = new_tab(running)
        tab.open()
        command = tab.page.get_by_text(re.compile("twinlens index"))
        expect(command.first).to_be_visible()
        shutil.copy(album.cat, photos)
        twinlens("index", photos, "--library", library)
        expect(tab.names).to_have_text(["cat.jpg"], timeout=BACK_WITHIN)  # no reload
        tab.close()
