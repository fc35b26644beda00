"""What people do on the page, from the first key to the result that they wanted."""

from __future__ import annotations

import base64
import re
import zipfile
from datetime import datetime, timedelta
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.browser.album import CAPTIONS, DRAWN, HOSTILE_NAME, Album
from tests.browser.tab import Tab

PHOTOS = DRAWN + 17
"""Photos of the album; the film is one more answer."""

DROP = """([name, type, data]) => {
  const bytes = Uint8Array.from(atob(data), (each) => each.charCodeAt(0));
  const carried = new DataTransfer();
  carried.items.add(new File([bytes], name, { type }));
  for (const kind of ["dragenter", "dragover", "drop"]) {
    const event = new DragEvent(kind, { dataTransfer: carried, bubbles: true, cancelable: true });
    document.body.dispatchEvent(event);
  }
}"""


def drop(page: Page, file: Path, media_type: str = "image/jpeg") -> None:
    """Drop a file on the page."""
    data = base64.b64encode(file.read_bytes()).decode()
    page.evaluate(DROP, [file.name, media_type, data])


def test_type_and_see(tab: Tab) -> None:
    tab.open()
    expect(tab.names.first).to_have_text("motorcycle.jpg")  # the newest
    tab.press("/")
    tab.page.keyboard.type("a cup of coffee")
    expect(tab.names.first).to_have_text("coffee-small.jpg")
    expect(tab.names.nth(1)).to_have_text("coffee.jpg")
    assert tab.query == {"q": "a cup of coffee"}
    tab.page.go_back()
    expect(tab.names.first).to_have_text("motorcycle.jpg")
    expect(tab.box).to_have_value("")


def test_it_searches_after_a_pause_or_at_enter(tab: Tab) -> None:
    tab.page.clock.install()
    tab.open()
    expect(tab.names.first).to_be_visible()
    tab.page.clock.pause_at(datetime.now() + timedelta(hours=1))
    before = len(tab.asked_for("search"))
    tab.box.press_sequentially("a cat")
    tab.page.clock.run_for(150)
    assert len(tab.asked_for("search")) == before, "while words are typed, nothing is asked"
    with tab.page.expect_request("**/api/v1/search?q=a+cat*"):
        tab.page.clock.run_for(150)
    tab.box.press_sequentially("s")
    with tab.page.expect_request("**/api/v1/search?q=a+cats*"):
        tab.box.press("Enter")  # the clock stands still
    assert len(tab.asked_for("search")) == before + 2


def test_drop_a_photo(tab: Tab, album: Album) -> None:
    tab.open()
    drop(tab.page, album.cat)
    expect(tab.names.first).to_have_text("cat.jpg")
    assert re.fullmatch(r"picture:\w+", tab.query["q"])
    tab.page.reload()  # the address holds the picture
    expect(tab.names.first).to_have_text("cat.jpg")
    tab.page.get_by_role("button", name="Remove your picture").click()
    expect(tab.names.first).to_have_text("motorcycle.jpg")
    assert tab.query == {}


def test_what_is_no_picture_is_refused_in_words(tab: Tab, album: Album) -> None:
    tab.expect_error("api/v1/queries")
    tab.open()
    expect(tab.names.first).to_be_visible()
    message = tab.page.locator("#toast")
    drop(tab.page, album.folder / "captions.txt", "text/plain")
    expect(message).to_contain_text("no picture")
    drop(tab.page, album.folder / "broken.jpg")
    expect(message).to_contain_text("cannot be searched with")
    assert tab.query == {}


def test_take_a_term_away(tab: Tab) -> None:
    tab.open("q=a+motorcycle")
    expect(tab.names.first).to_have_text("motorcycle.jpg")
    tab.tile("motorcycle.jpg").hover()
    tab.tile("motorcycle.jpg").get_by_role("button", name="More to do with it").click()
    tab.page.get_by_role("menuitem", name="Take away from the query").click()
    expect(tab.names.first).not_to_have_text("motorcycle.jpg")
    assert re.fullmatch(r"a motorcycle - item:\d+", tab.query["q"])
    tab.page.get_by_role("button", name="Remove a photo").click()
    expect(tab.names.first).to_have_text("motorcycle.jpg")


def test_filter_by_a_facet_and_go_back(tab: Tab) -> None:
    tab.open()
    tab.page.get_by_role("button", name="Filters").click()
    filters = tab.page.get_by_role("complementary", name="Filters")
    camera = filters.get_by_role("checkbox", name=re.compile("X100V"))
    camera.check()
    expect(tab.page.locator("#total")).to_have_text("2 photos")
    expect(tab.names).to_have_text(["flower.jpg", "cat.jpg"])
    filters.get_by_role("checkbox", name=re.compile("garden")).check()
    expect(tab.names).to_have_text(["flower.jpg"])
    tab.page.go_back()
    expect(tab.names).to_have_text(["flower.jpg", "cat.jpg"])
    tab.page.go_back()
    expect(tab.page.locator("#total")).to_have_text(f"{PHOTOS + 1} photos")


def test_nothing_matches_and_recover(tab: Tab) -> None:
    tab.open()
    tab.search("an ambulance")
    expect(tab.page.get_by_role("heading", name="Nothing matches")).to_be_visible()
    tab.page.get_by_role("button", name="Show all").click()
    expect(tab.names.first).to_be_visible()
    tab.search("a cat")
    expect(tab.names.first).to_have_text("cat.jpg")


def test_open_a_film_at_its_moment(tab: Tab) -> None:
    tab.open("q=a+motorcycle+type:video")
    film = tab.tile("film.mp4")
    film.locator(".open").click()
    video = tab.page.locator("dialog video")
    expect(video).to_be_visible()
    tab.until("document.querySelector('dialog video').readyState > 1")
    at = video.evaluate("video => video.currentTime")
    assert 0.5 < at < 4, "the motorcycle is in the first four seconds"
    tab.press("Escape")
    expect(video).to_have_count(0)
    tab.open("q=a+cat+type:video")
    tab.tile("film.mp4").locator(".open").click()
    tab.until("document.querySelector('dialog video')?.currentTime >= 4")


def test_select_and_export_a_list(tab: Tab, album: Album, tmp_path: Path) -> None:
    tab.open("q=a+cat")
    expect(tab.names.first).to_have_text("cat.jpg")
    tab.page.locator("#grid .open").first.focus()
    tab.press("x", "ArrowRight", "ArrowRight", "Shift+X")
    bar = tab.page.get_by_role("region", name="Selection")
    expect(bar).to_contain_text("3 selected")
    names = tab.names.all_text_contents()[:3]
    bar.get_by_role("button", name="Export").click()
    with tab.page.expect_download() as started:
        tab.page.get_by_role("menuitem", name="List of paths").click()
    started.value.save_as(tmp_path / "list.txt")
    listed = (tmp_path / "list.txt").read_text(encoding="utf-8").splitlines()
    assert [Path(line).name for line in listed] == names
    assert listed[0] == str(album.cat)


def test_export_all_that_match_as_a_zip(tab: Tab, album: Album, tmp_path: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in album.folder.rglob("*")}
    tab.open("q=in:drawn")
    expect(tab.page.locator("#total")).to_have_text(f"{DRAWN} photos")
    tab.page.locator("#grid .mark").first.click(force=True)
    bar = tab.page.get_by_role("region", name="Selection")
    bar.get_by_role("button", name=re.compile("^Select all")).last.click()
    expect(bar).to_contain_text(f"{DRAWN} selected")
    bar.get_by_role("button", name="Export").click()
    with tab.page.expect_download() as started:
        tab.page.get_by_role("menuitem", name="ZIP with the files").click()
    started.value.save_as(tmp_path / "photos.zip")
    with zipfile.ZipFile(tmp_path / "photos.zip") as archive:
        held = {Path(name).name: archive.read(name) for name in archive.namelist()}
    assert held.pop("manifest.csv").count(b"\n") == DRAWN + 1
    assert held == {path.name: path.read_bytes() for path in album.drawn}
    assert {path: path.stat().st_mtime_ns for path in album.folder.rglob("*")} == before


def test_all_likely_matches_can_be_selected(tab: Tab) -> None:
    tab.open("q=a+cat")
    expect(tab.names.first).to_have_text("cat.jpg")
    tab.page.locator("#grid .open").first.focus()
    tab.press("x")
    bar = tab.page.get_by_role("region", name="Selection")
    bar.get_by_role("button", name="Select all likely matches").click()
    expect(bar.get_by_role("button", name="Select all likely matches")).to_have_count(0)
    chosen = tab.page.locator("#grid .tile.selected .caption b").all_text_contents()
    assert {"cat.jpg", *(f"rex-{number}.jpg" for number in range(1, 6))} <= set(chosen)
    assert "drawn-00.jpg" not in chosen


def test_hostile_words_are_shown_as_text(tab: Tab) -> None:
    tab.open("q=in:hostile")
    expect(tab.names).to_have_text([HOSTILE_NAME])
    tab.page.locator("#grid .open").first.click()
    dialog = tab.page.get_by_role("dialog")
    expect(dialog).to_contain_text(HOSTILE_NAME)
    expect(dialog).to_contain_text("<b>bold</b>")
    tab.open("q=words+with+tags&for=texts")
    expect(tab.page.get_by_text(CAPTIONS[-1]).first).to_be_visible()
    tab.page.get_by_role("button", name="Filters").click()
    assert tab.page.evaluate("window.pwned") is None
    assert tab.page.locator("#grid b b, #grid script, dialog script").count() == 0


def test_a_suggestion_becomes_a_filter(tab: Tab) -> None:
    tab.open()
    tab.box.press_sequentially("camera:can")
    option = tab.page.get_by_role("option", name=re.compile("Canon EOS R5"))
    expect(option).to_be_visible()
    tab.press("ArrowDown", "Enter")
    expect(tab.page.get_by_role("list", name="Filters in use")).to_contain_text("Canon EOS R5")
    expect(tab.names).to_have_text(["motorcycle.jpg", "temple.jpg", "coffee.jpg"])


def test_texts_are_answers_too(tab: Tab) -> None:
    tab.open("q=a+cat")
    expect(tab.names.first).to_have_text("cat.jpg")
    tab.page.get_by_role("button", name="Texts", exact=True).click()
    expect(tab.page.locator("#grid .words").first).to_have_text(CAPTIONS[0])
    assert tab.query == {"q": "a cat", "for": "texts"}


def test_nothing_leaves_the_machine(tab: Tab) -> None:
    blocked: list[str] = []

    def elsewhere(url: str) -> bool:
        return not url.startswith((tab.server.address, "blob:", "data:"))

    tab.page.route(elsewhere, lambda route: (blocked.append(route.request.url), route.abort()))
    tab.open("q=a+cat")
    expect(tab.names.first).to_have_text("cat.jpg")
    tab.page.locator("#grid .open").first.click()
    expect(tab.page.get_by_role("dialog")).to_be_visible()
    assert blocked == []
    assert len(tab.requests) > 20
