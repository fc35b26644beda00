"""axe-core finds no violation in any state of the page: light and wide, then dark and narrow."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import NewTab
from tests.browser.serving import Server
from tests.browser.tab import Tab


def results(tab: Tab) -> None:
    tab.open("q=a+cat")
    expect(tab.names.first).to_have_text("cat.jpg")


def few_results(tab: Tab) -> None:
    """Show two photos: axe looks at each of them."""
    tab.open("q=a+cat+in:2019-rome")
    expect(tab.names).to_have_text(["cat.jpg", "coffee.jpg"])


def chips_and_filters(tab: Tab) -> None:
    tab.open("q=a+cat+-+a+cup+of+coffee+after:2019")
    expect(tab.names.first).to_be_visible()
    tab.page.get_by_role("button", name="Filters").click()
    expect(tab.page.get_by_role("complementary").get_by_role("checkbox").first).to_be_visible()


def suggestions(tab: Tab) -> None:
    tab.open("q=in:2019-rome")
    tab.box.press_sequentially("camera:")
    expect(tab.page.get_by_role("option").first).to_be_visible()


def texts(tab: Tab) -> None:
    tab.open("q=a+cat&for=texts")
    expect(tab.page.get_by_text("A tabby cat").first).to_be_visible()


def nothing(tab: Tab) -> None:
    tab.open("q=an+ambulance")
    expect(tab.page.get_by_role("heading", name="Nothing matches")).to_be_visible()


def lightbox(tab: Tab) -> None:
    few_results(tab)
    tab.page.locator("#grid .open").first.click()
    expect(tab.page.get_by_role("dialog")).to_be_visible()


def menu(tab: Tab) -> None:
    few_results(tab)
    tab.page.locator("#grid .open").first.focus()
    tab.press("m")
    expect(tab.page.get_by_role("menu")).to_be_visible()


def selection(tab: Tab) -> None:
    few_results(tab)
    tab.page.locator("#grid .open").first.focus()
    tab.press("x")
    expect(tab.page.get_by_role("region", name="Selection")).to_be_visible()


def teaching(tab: Tab) -> None:
    selection(tab)
    tab.page.get_by_role("button", name="Give a name").click()
    expect(tab.page.get_by_role("dialog")).to_be_visible()


def copies(tab: Tab) -> None:
    tab.open("view=duplicates")
    expect(tab.page.get_by_role("region", name="Group").first).to_be_visible()


def names(tab: Tab) -> None:
    tab.open("view=names")
    expect(tab.page.get_by_text("learned no name yet")).to_be_visible()


def shown_help(tab: Tab) -> None:
    few_results(tab)
    tab.press("Shift+?")
    expect(tab.page.get_by_role("dialog", name="Keys and words")).to_be_visible()


STATES = (
    results,
    chips_and_filters,
    suggestions,
    texts,
    nothing,
    lightbox,
    menu,
    selection,
    teaching,
    copies,
    names,
    shown_help,
)


@pytest.mark.parametrize("reach", STATES, ids=lambda state: state.__name__)
def test_no_violation(reach: Callable[[Tab], None], new_tab: NewTab, server: Server) -> None:
    tab = new_tab(server, color_scheme="light")
    reach(tab)
    tab.axe()
    tab.page.emulate_media(color_scheme="dark")
    tab.page.set_viewport_size({"width": 390, "height": 844})
    tab.axe()
