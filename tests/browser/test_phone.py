"""The page on a phone, 390 pixels wide."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.browser.conftest import NewTab
from tests.browser.serving import Server

SMALLEST = 24  # pixels of a target, WCAG 2.2 (2.5.8)

SMALL_TARGETS = """(smallest) =>
  [...document.querySelectorAll("button, a, input, select, summary")]
    .filter((each) => each.checkVisibility({ opacityProperty: true, visibilityProperty: true }))
    .map((each) => [each.outerHTML.slice(0, 120), each.getBoundingClientRect()])
    .filter(([, { width, height }]) => width > 1 && Math.min(width, height) < smallest)
    .map(([text, { width, height }]) => `${width} x ${height}: ${text}`)"""


def test_nothing_is_wider_than_the_screen(new_tab: NewTab, server: Server) -> None:
    tab = new_tab(server, 390, 844, has_touch=True, is_mobile=True)
    for address in ("", "q=a+cat+%2B+a+cup+of+coffee+after:2018", "q=an+ambulance", "view=names"):
        tab.open(address)
        expect(tab.page.locator("#grid .tile, #state, #view").first).to_be_attached()
        tab.page.wait_for_load_state("networkidle")
        width = tab.page.evaluate("document.documentElement.scrollWidth")
        assert width == 390, f"{address}: {width} pixels"
        assert tab.page.evaluate(SMALL_TARGETS, SMALLEST) == [], address


def test_search_select_and_look_by_touch(new_tab: NewTab, server: Server) -> None:
    tab = new_tab(server, 390, 844, has_touch=True, is_mobile=True)
    tab.open()
    tab.box.tap()
    tab.search("a cat")
    expect(tab.names.first).to_have_text("cat.jpg")
    tab.page.locator("#grid .open").first.tap()
    dialog = tab.page.get_by_role("dialog")
    expect(dialog.get_by_role("img").first).to_be_visible()
    dialog.get_by_role("button", name="Close").tap()
    expect(dialog).to_have_count(0)
    tab.page.locator("#grid .mark").first.tap()
    expect(tab.page.get_by_role("region", name="Selection")).to_contain_text("1 selected")
