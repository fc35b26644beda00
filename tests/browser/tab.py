"""One tab of the browser: what it asked for, what went wrong in it, and what people do in it."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest
from playwright.sync_api import ConsoleMessage, Locator, Page, Request

from tests.browser.serving import Server

NODE_MODULES = Path(__file__).parent / "node_modules"
AXE = NODE_MODULES / "axe-core" / "axe.min.js"

PATIENCE = 10_000
"""Milliseconds until an expectation fails; tests share the cores."""

_RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}


class Tab:
    """A page of the browser on one server.

    Attributes:
        page: playwright's page.
        requests: the addresses that the page asked for, in order.
    """

    def __init__(self, page: Page, server: Server) -> None:
        self.page, self.server = page, server
        self.requests: list[str] = []
        self._errors: list[str] = []
        self._expected: list[re.Pattern[str]] = []
        page.on("request", self._request)
        page.on("console", self._message)
        page.on("pageerror", lambda error: self._errors.append(f"uncaught: {error}"))

    def _request(self, request: Request) -> None:
        self.requests.append(request.url)

    def _message(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            where = message.location.get("url", "")
            self._errors.append(f"{message.type}: {message.text} ({where})")

    def expect_error(self, pattern: str) -> None:
        """Allow errors of the console that have this in them."""
        self._expected.append(re.compile(pattern))

    def check(self) -> None:
        """Fail on an error that was not expected, and on a request that left the server."""
        unknown = [e for e in self._errors if not any(p.search(e) for p in self._expected)]
        assert not unknown, "\n".join(unknown)
        assert not self.foreign(), self.foreign()

    def foreign(self) -> list[str]:
        """Return the requests to anything but the server: other hosts, and other ports."""
        own = urlsplit(self.server.address).netloc
        parts = [(url, urlsplit(url)) for url in self.requests]
        return [
            url
            for url, split in parts
            if split.scheme not in {"data", "blob", "about"} and split.netloc != own
        ]

    def close(self) -> None:
        """Close the tab; nothing asks the server any more."""
        self.page.context.close()

    # What people do

    def open(self, query: str = "") -> None:
        """Go to the page, with what stands behind the question mark of its address."""
        self.page.goto(f"{self.server.address}{query and '?' + query}")

    def search(self, words: str) -> None:
        """Write words into the search box as a person does, and press Enter."""
        self.box.fill(words)
        self.box.press("Enter")

    def tile(self, name: str) -> Locator:
        """Return the tile of a file."""
        return self.page.locator("#grid .tile", has=self.page.get_by_text(name, exact=True))

    def press(self, *keys: str) -> None:
        """Press keys, one after the other."""
        for key in keys:
            self.page.keyboard.press(key)

    def until(self, expression: str) -> None:
        """Wait until an expression is true in the page; its rules forbid playwright's own way."""
        ends = time.monotonic() + PATIENCE / 1000
        while not self.page.evaluate(expression):
            assert time.monotonic() < ends, expression
            self.page.wait_for_timeout(50)

    # What people see

    @property
    def box(self) -> Locator:
        """The search box."""
        return self.page.get_by_role("combobox", name="Search your photos")

    @property
    def names(self) -> Locator:
        """The names of the files whose tiles are drawn, in order."""
        return self.page.locator("#grid .tile .caption b")

    @property
    def query(self) -> dict[str, str]:
        """What the address of the page says."""
        return dict(parse_qsl(urlsplit(self.page.url).query))

    def asked_for(self, path: str) -> list[str]:
        """Return the addresses of the requests to one path of the API."""
        return [url for url in self.requests if urlsplit(url).path == f"/api/v1/{path}"]

    def axe(self) -> None:
        """Fail on any violation of accessibility that axe-core finds in what is shown now."""
        if not AXE.is_file():
            pytest.skip("axe-core is not installed; run: bash scripts/test.sh")
        if not self.page.evaluate("() => 'axe' in globalThis"):
            self.page.evaluate(AXE.read_text(encoding="utf-8"))
        found = self.page.evaluate("rules => axe.run(document, rules)", _RULES)
        assert not found["violations"], json.dumps(found["violations"], indent=1)[:6000]
