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
    tab.press("x")
    bar = tab.page.get_by_role("region", name="Selection")
    expect(bar).to_contain_text("1 selected")
    tab.press("Escape")
    expect(bar).to_be_hidden()
    assert tab.page.evaluate(FOCUSED) == names[1]


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
