"""Teaching a name from selected photos, and the review of copies."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import expect

from tests.browser.album import Album
from tests.browser.conftest import NewTab
from tests.browser.serving import Server

LEARNS_WITHIN = 120_000  # milliseconds


def test_teach_a_name(own_server: Server, new_tab: NewTab) -> None:
    tab = new_tab(own_server)
    tab.open("q=in:rex")
    expect(tab.names).to_have_count(5)
    tab.page.locator("#grid .open").first.focus()
    tab.press("Control+a")
    bar = tab.page.get_by_role("region", name="Selection")
    expect(bar).to_contain_text("5 selected")
    bar.get_by_role("button", name="Give a name").click()
    dialog = tab.page.get_by_role("dialog", name="Give a name")
    dialog.get_by_label("Name", exact=True).fill("Rex")
    dialog.get_by_label("What it is").fill("cat")
    dialog.get_by_role("button", name="Learn the name").click()
    expect(dialog).to_have_count(0, timeout=LEARNS_WITHIN)
    tab.page.get_by_role("button", name="Search for it").click()
    assert tab.query == {"q": "Rex"}
    expect(tab.names.first).to_contain_text("rex-")
    tab.open("view=names")
    expect(tab.page.get_by_role("listitem").filter(has_text="Rex")).to_contain_text("5 photos")
    tab.page.get_by_role("button", name="Forget Rex").click()
    tab.page.get_by_role("button", name="Forget it").click()
    expect(tab.page.get_by_text("learned no name yet")).to_be_visible()


def test_the_review_of_copies(
    new_tab: NewTab, server: Server, album: Album, tmp_path: Path
) -> None:
    tab = new_tab(server)
    before = {path: path.stat().st_mtime_ns for path in album.folder.rglob("*")}
    tab.open("view=duplicates")
    group = tab.page.get_by_role("region", name="Group").filter(has_text="coffee.jpg")
    expect(group).to_be_visible(timeout=30_000)
    keep = group.get_by_role("checkbox", name="Keep coffee.jpg")
    small = group.get_by_role("checkbox", name="Keep coffee-small.jpg")
    expect(keep).to_be_checked()
    expect(small).not_to_be_checked()
    tab.page.get_by_role("button", name="Save the list").click()
    with tab.page.expect_download() as started:
        tab.page.get_by_role("menuitem", name="List of paths").click()
    started.value.save_as(tmp_path / "copies.txt")
    listed = (tmp_path / "copies.txt").read_text(encoding="utf-8").splitlines()
    assert str(album.folder / "copies" / "coffee-small.jpg") in listed
    assert str(album.coffee) not in listed
    keep.click()  # the last one that stays cannot be dropped
    expect(keep).to_be_checked()
    small.check()
    keep.uncheck()
    expect(keep).not_to_be_checked()
    assert {path: path.stat().st_mtime_ns for path in album.folder.rglob("*")} == before
