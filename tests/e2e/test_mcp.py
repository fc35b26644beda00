"""`twinlens mcp` and the SDK's own client: the installed command over stdio, with real photos."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from base64 import b64decode
from collections.abc import Awaitable, Callable
from io import BytesIO
from pathlib import Path
from typing import Any, TypeVar

import pytest
from PIL import Image

from tests.clips import clip, scene
from tests.e2e.conftest import NAMES, PHOTOS, command

pytest.importorskip("mcp", reason="needs the extra mcp")

from mcp import Client, StdioServerParameters, stdio_client
from mcp.types import CallToolResult, ImageContent, TextContent

T = TypeVar("T")
TOOLS = {"search_photos", "view_photos", "contact_sheet", "get_photo", "list_facets", "count"}


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library of five real photos, a film and a note."""
    home = tmp_path_factory.mktemp("agents")
    photos = home / "photos"
    photos.mkdir()
    for name in NAMES:
        shutil.copy(PHOTOS / name, photos)
    clip(photos / "film.mp4", [(scene("red", "white"), 3)])
    (photos / "note.txt").write_text("a cat on a sofa\n")
    called = [command(), "index", str(photos), "--library", str(home / "library")]
    done = subprocess.run(called, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return home / "library"


def _asked(library: Path, talk: Callable[[Client], Awaitable[T]]) -> T:
    """What comes of talking with the command."""
    parameters = StdioServerParameters(
        command=command(),
        args=["mcp", "--library", str(library)],
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
    )

    async def talked() -> T:
        async with Client(stdio_client(parameters)) as client:
            return await talk(client)

    return asyncio.run(talked())


async def _told(client: Client, tool: str, **asked: Any) -> dict[str, Any]:
    """What a tool answers, as data."""
    result = await client.call_tool(tool, asked)
    assert isinstance(result, CallToolResult)
    assert not result.is_error, result.content
    assert result.structured_content is not None
    return result.structured_content


async def _refused(client: Client, tool: str, **asked: Any) -> str:
    """What a tool says where it cannot answer."""
    result = await client.call_tool(tool, asked)
    assert isinstance(result, CallToolResult)
    assert result.is_error
    (text,) = result.content
    assert isinstance(text, TextContent)
    return text.text


def _pictures(result: CallToolResult) -> list[Image.Image]:
    """The pictures of an answer."""
    shown = [each for each in result.content if isinstance(each, ImageContent)]
    assert {each.mime_type for each in shown} <= {"image/webp"}
    return [Image.open(BytesIO(b64decode(each.data))) for each in shown]


def test_an_agent_searches_and_looks(library: Path) -> None:
    """One conversation, as an agent has it: each tool, the pages, and what goes wrong."""

    async def talk(client: Client) -> None:
        await _check_tools(client)
        found = await _check_search(client)
        await _check_pictures(client, found)
        await _check_counts(client)
        await _check_refusals(client, found)

    _asked(library, talk)


async def _check_tools(client: Client) -> None:
    """Each tool is described, changes nothing, and answers data of a known form."""
    tools = {tool.name: tool for tool in (await client.list_tools()).tools}
    assert set(tools) == TOOLS
    for tool in tools.values():
        assert tool.description
        assert tool.annotations is not None
        assert tool.annotations.read_only_hint
        assert tool.output_schema is not None
        assert tool.output_schema["type"] == "object"
    assert client.instructions is not None
    assert "after:2019" in client.instructions


async def _check_search(client: Client) -> dict[str, int]:
    """Pages follow each other; a text, and a photo that was found, can be asked for."""
    first = await _told(client, "search_photos", query="-type:video", limit=2)
    assert (first["total"], first["remaining"], first["next"]) == (5, 3, 2)
    rest = await _told(client, "search_photos", query="-type:video", limit=9, start=first["next"])
    assert (len(rest["photos"]), rest["remaining"], rest["next"]) == (3, 0, None)
    ids = {Path(each["path"]).name: each["id"] for each in first["photos"] + rest["photos"]}
    assert set(ids) == set(NAMES)
    cat = await _told(client, "search_photos", query="a cat", limit=1)
    assert (cat["found"], Path(cat["photos"][0]["path"]).name) == (True, "chelsea.png")
    like = await _told(client, "search_photos", query=f"item:{ids['coffee.png']}", limit=1)
    assert like["photos"][0]["id"] != 0
    texts = await _told(client, "search_photos", query="a cat", target="texts")
    assert texts["photos"][0]["text"] == "a cat on a sofa"
    return ids


async def _check_pictures(client: Client, ids: dict[str, int]) -> None:
    """Photos come as WebP: single ones large, many small on one sheet."""
    result = await client.call_tool("view_photos", {"ids": [ids["rocket.jpg"], 99_999]})
    assert isinstance(result, CallToolResult)
    assert result.is_error  # one that is not there, and no photo in its place
    result = await client.call_tool("view_photos", {"ids": [ids["rocket.jpg"], ids["coffee.png"]]})
    assert isinstance(result, CallToolResult)
    assert [picture.size for picture in _pictures(result)] == [(640, 427), (600, 400)]
    assert result.structured_content is not None
    viewed = result.structured_content["photos"]
    assert [(each["number"], Path(each["path"]).name) for each in viewed] == [
        (1, "rocket.jpg"),
        (2, "coffee.png"),
    ]
    sheet = await client.call_tool("contact_sheet", {"ids": [*ids.values()]})
    assert isinstance(sheet, CallToolResult)
    (picture,) = _pictures(sheet)
    assert picture.size == (5 * 256, 256)
    details = await _told(client, "get_photo", id=ids["rocket.jpg"])
    assert (details["kind"], details["width"], details["height"]) == ("photo", 640, 427)


async def _check_counts(client: Client) -> None:
    """Counts and facets are those of the library."""
    assert await _told(client, "count", query="-type:video") == {"count": 5, "exact": True}
    facets = await _told(client, "list_facets")
    assert facets["total"] == 6
    types = {each["label"]: each["count"] for each in facets["facets"]["types"]}
    assert sum(types.values()) == 6
    for each in facets["facets"]["types"]:
        counted = await _told(client, "count", query=each["filter"])
        assert counted["count"] == each["count"]


async def _check_refusals(client: Client, ids: dict[str, int]) -> None:
    """A wrong request says what is wrong; a path is words, and is not read."""
    assert "has no" in await _refused(client, "get_photo", id=99_999)
    assert "not a date" in await _refused(client, "search_photos", query="after:never")
    assert "limit" in await _refused(client, "search_photos", query="a cat", limit=1_000)
    assert "ids" in await _refused(client, "view_photos", ids=[*ids.values()] * 2)
    told = await _told(client, "search_photos", query=str(PHOTOS / "coffee.png"), limit=1)
    assert set(told) >= {"found", "photos"}


def test_where_there_is_nothing(library: Path) -> None:
    async def talk(client: Client) -> None:
        told = await _told(client, "search_photos", query="a cat after:2090")
        assert (told["photos"], told["total"], told["remaining"]) == ([], 0, 0)
        assert (told["nearest"], told["next"]) == (None, None)
        assert await _told(client, "count", query="after:2090") == {"count": 0, "exact": True}

    _asked(library, talk)


def test_it_ends_with_its_client_and_prints_nothing_else(library: Path) -> None:
    """A client that closes the pipe ends it; stdout carries the protocol alone."""
    called = [command(), "mcp", "--library", str(library)]
    done = subprocess.run(called, input="", capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "")


def test_without_a_library(tmp_path: Path) -> None:
    called = [command(), "mcp", "--library", str(tmp_path / "none")]
    done = subprocess.run(called, input="", capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (10, "")
    assert "no library at" in done.stderr


def test_the_command_line_does_not_import_it() -> None:
    code = "import sys; import retrieval.cli.commands.mcp; print('mcp.server' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout == "False\n"
