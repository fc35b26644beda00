"""A library of very many photos scrolls without stopping, and without filling the document."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.album import Album
from tests.browser.big_library import make_big_library
from tests.browser.conftest import NewTab, chromium
from tests.browser.serving import Server, serving

SCREENS = 40
BUSIEST_SECONDS = 0.2
"""What the page's thread may work while five screens pass by; seconds of CPU, since others run."""

MOST_NODES = 4_000
NODES = 4_000

WATCH = """() => {
  window.tasks = [];
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) window.tasks.push(entry.duration);
  }).observe({ type: "longtask" });
}"""
NODES = "() => document.querySelectorAll('*').length"


@pytest.fixture(
    scope="module",
    params=[10_000, pytest.param(100_000, marks=pytest.mark.large)],
    ids=["10,000 photos", "100,000 photos"],
)
def big(
    request: pytest.FixtureRequest,
    library: Path,
    album: Album,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[Server, int]]:
    """A server of a library with so many photos beside the album's."""
    chromium()
    home = tmp_path_factory.mktemp("big") / "big.lib"
    make_big_library(library, home, album.drawn, request.param)
    with serving(home) as running:
        yield running, request.param


def test_it_scrolls(big: tuple[Server, int], new_tab: NewTab) -> None:
    server, count = big
    tab = new_tab(server)
    tab.open()
    expect(tab.page.locator("#total")).to_contain_text(f"{count + 78:,}")
    expect(tab.names.first).to_be_visible()
    busy, worked = [], Work(tab.page)
    for _ in range(SCREENS):
        tab.page.mouse.wheel(0, 4000)
        tab.page.wait_for_timeout(50)
        assert tab.page.evaluate(NODES) < MOST_NODES
        busy.append(worked.since_then())
    assert tab.page.evaluate("scrollY") > 60_000, "it scrolls on as pages arrive"
    expect(tab.page.locator("#grid img.loaded").first).to_be_visible()
    assert max(busy) < BUSIEST_SECONDS, [round(each, 3) for each in busy]


class Work:
    """What the page's thread has worked, in seconds of CPU."""

    def __init__(self, page: Page) -> None:
        self._session = page.context.new_cdp_session(page)
        self._session.send("Performance.enable", {"timeDomain": "threadTicks"})
        self._before = self._all()

    def since_then(self) -> float:
        """Return what it worked since it was last asked."""
        now = self._all()
        worked, self._before = now - self._before, now
        return worked

    def _all(self) -> float:
        metrics = self._session.send("Performance.getMetrics")["metrics"]
        return float(next(each["value"] for each in metrics if each["name"] == "TaskDuration"))


def test_all_of_it_can_be_selected(big: tuple[Server, int], new_tab: NewTab) -> None:
    server, count = big
    tab = new_tab(server)
    tab.open("q=tag:family")
    expect(tab.names.first).to_be_visible()
    tab.page.locator("#grid .mark").first.click(force=True)
    bar = tab.page.get_by_role("region", name="Selection")
    bar.get_by_role("button", name=re.compile("all .*match")).click()
    expect(bar).to_contain_text(f"{count // 50:,} selected")
