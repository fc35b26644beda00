"""Modules of the page that need no document, run by Node: the grammar, and where pictures stand."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

import retrieval
from retrieval.search.filter_syntax import split_filters
from retrieval.search.query_terms import split_terms

PAGE = Path(retrieval.__file__).parent / "server" / "page"

QUERIES = (
    "a dog on a beach",
    "beach + sunset - people",
    "- people",
    "2:beach + 0.5:sunset",
    "t-shirt and C++ at 16:9",
    "a beach after:2019 near:Rome,5 camera:x100 -tag:work",
    'in:"summer 2019" a lake',
    'tag:"12"" singles" type:jpg',
    'camera:"=Apple iPhone 12"',
    "  many   spaces  ",
    "unknown:filter stays a word",
    "AFTER:2019 dogs",
    "Zanzibar - 3:rain + 桜祭り",
    "",
)


def node(script: str, data: object) -> Any:
    """Run a module that may import modules of the page; return what it prints as JSON."""
    program = shutil.which("node")
    if program is None:
        pytest.skip("node is not installed")
    done = subprocess.run(
        [program, "--experimental-default-type=module", "--input-type=module", "-e", script],
        input=json.dumps(data),
        cwd=PAGE,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


READ = 'const data = JSON.parse((await import("node:fs")).readFileSync(0, "utf8"));'


def test_the_page_splits_a_query_as_the_command_line_does() -> None:
    found = node(
        'import { filterParts, parse } from "./grammar.js";'
        + READ
        + "console.log(JSON.stringify(data.map((query) => {"
        + "  const parts = parse(query);"
        + "  return { ...parts, filters: parts.filters.map(filterParts) }; })));",
        QUERIES,
    )
    for query, parts in zip(QUERIES, found, strict=True):
        words, filters = split_filters(query)
        terms = [(part.written, part.weight) for part in split_terms([words])]
        first = [(parts["words"], 1.0)] if parts["words"] else []
        assert first + [(term["text"], term["weight"]) for term in parts["terms"]] == terms, query
        names = [("-" if each["negated"] else "") + each["name"] for each in parts["filters"]]
        values = [each["value"] for each in parts["filters"]]
        shown = [value.removeprefix("=") for _, value in filters]
        assert (names, values) == ([name for name, _ in filters], shown), query


def test_a_query_is_written_as_it_is_read() -> None:
    queries = (*QUERIES, "item:12 - 2:picture:ab1 after:2019", '"a beach without people"')
    found = node(
        'import { parse, write } from "./grammar.js";'
        + READ
        + "console.log(JSON.stringify(data.map((q) => [parse(q), parse(write(parse(q)))])));",
        queries,
    )
    assert all(once == again for once, again in found), found
    assert found[-2][0]["terms"] == [
        {"item": 12, "weight": 1},
        {"picture": "ab1", "weight": -2},
    ]
    assert found[-1][0] == {"words": '"a beach without people"', "terms": [], "filters": []}


SHAPES = [(3, 2), (2, 3), (1, 1), (16, 9), (3, 2), (4, 3), (3, 4), (1, 6), (9, 1)] * 7
MEASURES = {"width": 1000, "height": 200, "gap": 6, "heading": 40, "text": 80}


def test_rows_are_full_and_keep_the_shape_of_each_picture() -> None:
    hits = [{"width": 100 * w, "height": 100 * h, "kind": "photo"} for w, h in SHAPES]
    layout = node(
        'import { layOut } from "./layout.js";'
        + READ
        + "console.log(JSON.stringify(layOut(data[0], data[1], { labels: [], divider: 40 })));",
        [hits, MEASURES],
    )
    photos = [row for row in layout["rows"] if row["type"] == "photos"]
    assert [box["index"] for row in photos for box in row["boxes"]] == list(range(len(hits)))
    ends = [row["boxes"][-1]["index"] for row in photos]
    full = [row for row in photos if row["boxes"][-1]["index"] not in (39, len(hits) - 1)]
    assert len(full) == len(photos) - 2
    assert 39 in ends, "the divider ends a row"
    for row in full:
        last = row["boxes"][-1]
        assert last["x"] + last["width"] == MEASURES["width"]
        for before, after in zip(row["boxes"], row["boxes"][1:], strict=False):
            assert after["x"] - before["x"] - before["width"] == MEASURES["gap"]
        for box in row["boxes"]:
            w, h = SHAPES[box["index"]]
            shape = min(3.2, max(0.45, w / h))  # beyond, a picture is cropped
            assert abs(box["width"] - shape * row["height"]) <= len(row["boxes"]) * shape
    tops = [row["y"] for row in layout["rows"]]
    bottoms = [row["y"] + row["height"] for row in layout["rows"]]
    assert [top - bottom for top, bottom in zip(tops[1:], bottoms, strict=False)] == [6] * (
        len(tops) - 1
    )
    assert layout["height"] == bottoms[-1]
    assert [row["label"] for row in layout["rows"] if row["type"] == "divider"] == [
        "Below this, unlikely"
    ]


def test_days_with_few_photos_share_a_heading() -> None:
    days = ["2024-05-12"] * 8 + ["2024-05-11"] * 2 + ["2024-05-09"] + ["2024-04-30"] + [None] * 2
    hits = [{"about": {"taken": day and f"{day}T10:00:00"}} for day in days]
    labels = node(
        'import { dayLabels } from "./headings.js";'
        + READ
        + "console.log(JSON.stringify(dayLabels(data, 5)));",
        hits,
    )
    assert [label.replace("\u2009", " ").replace(",", "") for label in labels] == [
        *["Sunday 12 May 2024"] * 8,
        *["30 April – 11 May 2024"] * 4,
        *["Without a date"] * 2,
    ]


def test_levels_only_sink_and_end_at_the_divider() -> None:
    levels = ["very likely"] * 6 + ["perhaps", "likely"] + ["unlikely"] * 2
    labels = node(
        'import { levelLabels } from "./headings.js";'
        + READ
        + "console.log(JSON.stringify([levelLabels(data, 8, 5), levelLabels(data, 8, 20)]));",
        [{"likelihood": level} for level in levels],
    )
    assert labels == [
        ["Very likely"] * 6 + ["Perhaps"] * 2 + ["", ""],
        ["Very likely, then perhaps"] * 8 + ["", ""],
    ]
