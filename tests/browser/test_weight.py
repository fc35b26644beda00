"""What a browser loads before the first pictures stand."""

from __future__ import annotations

import gzip
from urllib.parse import urlsplit
from urllib.request import urlopen

from playwright.sync_api import expect

from tests.browser.tab import Tab

MOST_BYTES = 60_000  # compressed, without pictures


def test_the_page_is_light(tab: Tab) -> None:
    tab.open()
    expect(tab.page.locator("#grid img.loaded").first).to_be_visible()
    weights = {}
    for url in set(tab.requests):
        path = urlsplit(url).path
        if path == "/" or path.startswith("/page/"):
            with urlopen(url) as answer:
                weights[path] = len(gzip.compress(answer.read()))
    assert {"/", "/page/main.js", "/page/page.css"} <= set(weights)
    assert sum(weights.values()) <= MOST_BYTES, sorted(weights.items(), key=lambda item: -item[1])
