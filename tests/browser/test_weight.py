"""What a browser loads before the first pictures stand."""

from __future__ import annotations

import gzip
from urllib.parse import urlsplit

from playwright.sync_api import expect

from tests.browser.tab import Tab

MOST_BYTES = 60_000  # compressed, without pictures


def test_the_page_is_light(tab: Tab) -> None:
    responses = []
    tab.page.on("response", responses.append)
    tab.open()
    expect(tab.page.locator("#grid img.loaded").first).to_be_visible()
    loaded = {
        path: len(gzip.compress(response.body()))
        for response in responses
        if (path := urlsplit(response.url).path) == "/" or path.startswith("/page/")
    }
    assert {"/", "/page/main.js", "/page/page.css"} <= set(loaded)
    assert sum(loaded.values()) <= MOST_BYTES, sorted(loaded.items(), key=lambda item: -item[1])
