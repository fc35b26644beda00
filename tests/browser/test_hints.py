"""What may be meant is one click away: a misspelt word, a misspelt filter."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.tab import Tab

DICTIONARIES_WITHIN = 60_000
"""Milliseconds until the first hint: dictionaries are loaded then."""


@pytest.mark.parametrize(
    ("asked", "meant", "query"),
    [
        ("a+dgo+on+the+baech", "a dog on the beach", "a dog on the beach"),
        ("a+beach+camara:x100", "a beach camera:x100", "a beach camera:x100"),
    ],
)
def test_what_may_be_meant_is_one_click_away(tab: Tab, asked: str, meant: str, query: str) -> None:
    tab.open(f"q={asked}")
    button = tab.page.get_by_role("button", name=meant, exact=True)
    button.click(timeout=DICTIONARIES_WITHIN)
    expect(button).to_be_hidden()
    assert tab.query["q"] == query
    words = tab.page.get_by_role("combobox", name="Search your photos")
    expect(words).to_have_value(query.split(" camera:")[0])
