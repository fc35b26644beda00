"""Everything by keyboard alone: no test of this file touches a mouse."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import expect

from tests.browser.tab import Tab

FOCUSED = "document.activeElement.closest('.tile')?.querySelector('.caption b')?.textContent"


def test_search_look_select_and_export(tab: Tab, tmp_path: Path) -> None:
    tab.open()
    expect(tab.names.first).to_be_visible()
    tab.press("/")
    tab.page.keyboard.type("a cat")
    tab.press("Enter")
    expect(tab.names.first).to_have_text("cat.jpg")
    tab.press("ArrowDown")
    assert tab.page.evaluate(FOCUSED) == "cat.jpg"
    names = tab.names.all_text_contents()
    tab.press("l")
    assert tab.page.evaluate(FOCUSED) == names[1]
    tab.press("h", "Enter")
    dialog = tab.page.get_by_role("dialog")
    expect(dialog).to_be_visible()
    tab.press("ArrowRight")
    expect(dialog).to_contain_text(names[1])
    tab.press("Escape")
    expect(dialog).to_have_count(0)
    assert tab.page.evaluate(FOCUSED) == names[1]  # where the lightbox was left
    tab.press("x", "ArrowRight", "Shift+X")
    bar = tab.page.get_by_role("region", name="Selection")
    expect(bar).to_contain_text("2 selected")
    tab.press("e")
    expect(tab.page.get_by_role("menuitem", name="List of paths")).to_be_focused()
    with tab.page.expect_download() as started:
        tab.press("Enter")
    started.value.save_as(tmp_path / "list.txt")
    listed = (tmp_path / "list.txt").read_text(encoding="utf-8").splitlines()
    assert [Path(line).name for line in listed] == names[1:3]
    expect(bar.get_by_role("button", name="Export")).to_be_focused()
    tab.press("Escape")
    expect(bar).to_be_hidden()
    assert tab.page.evaluate(FOCUSED) == names[2]


def test_a_name_can_be_given_and_left(tab: Tab) -> None:
    tab.open("q=in:rex")
    expect(tab.names).to_have_count(5)
    tab.press("ArrowRight", "Control+a", "n")
    dialog = tab.page.get_by_role("dialog", name="Give a name")
    expect(dialog.get_by_label("Name", exact=True)).to_be_focused()
    tab.press("Enter")  # without a name nothing is learned
    expect(dialog).to_be_visible()
    tab.press("Escape")
    expect(dialog).to_have_count(0)
    expect(tab.page.get_by_role("button", name="Give a name")).to_be_focused()


def test_the_other_views(tab: Tab) -> None:
    tab.open("q=a+cat")
    expect(tab.names.first).to_have_text("cat.jpg")
    tab.page.get_by_role("button", name="More", exact=True).focus()
    tab.press("Enter", "ArrowDown", "ArrowDown", "Enter")
    expect(tab.page.get_by_role("heading", name="Learned names")).to_be_focused()
    assert tab.query == {"q": "a cat", "view": "names"}
    tab.press("Shift+Tab", "Enter")  # back to the photos
    expect(tab.names.first).to_have_text("cat.jpg")
    assert tab.query == {"q": "a cat"}


def test_similar_and_the_menu(tab: Tab) -> None:
    tab.open("q=a+cup+of+coffee")
    expect(tab.names.first).to_have_text("coffee-small.jpg")
    tab.press("ArrowRight")
    tab.press("f")
    expect(tab.page.get_by_role("list", name="Terms of the query")).to_be_visible()
    expect(tab.names.first).to_have_text("coffee.jpg")  # the photo itself is left out
    tab.press("m")
    expect(tab.page.get_by_role("menu")).to_be_visible()
    tab.press("Escape")
    expect(tab.page.get_by_role("menu")).to_have_count(0)
    assert tab.page.evaluate(FOCUSED) == "coffee.jpg"


def test_help_lists_every_key_and_gives_the_focus_back(tab: Tab) -> None:
    tab.open()
    expect(tab.names.first).to_be_visible()
    tab.press("ArrowRight", "?")
    help_dialog = tab.page.get_by_role("dialog", name="Keys and words")
    for label in ("Go to the search box", "More like the photo", "Show this help", "Select"):
        expect(help_dialog).to_contain_text(label)
    tab.press("Escape")
    expect(help_dialog).to_have_count(0)
    assert tab.page.evaluate(FOCUSED) == "motorcycle.jpg"
