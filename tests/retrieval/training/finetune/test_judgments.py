"""Triples are read line by line; a line that cannot be used costs itself alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from retrieval.errors import PairsInvalid
from retrieval.training.finetune.judgments import Judgment, read_triples
from tests.fakes import draw

GOOD = {"query": "a dog", "instruction": "at night", "candidate": "p/red.png", "label": 1}


def written(folder: Path, *lines: object) -> Path:
    """A file of triples beside one photo."""
    draw(folder / "p" / "red.png", "red")
    source = folder / "triples.jsonl"
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    source.write_text("\n".join(texts), encoding="utf-8")
    return source


def test_a_triple_is_relative_to_its_file(tmp_path: Path) -> None:
    bare = {"query": " a cat ", "candidate": "p/red.png", "label": False}
    found = read_triples(written(tmp_path, GOOD, "", bare))
    photo = tmp_path / "p" / "red.png"
    assert found.skipped == ()
    assert found.triples == (
        Judgment(query="a dog", instruction="at night", candidate=photo, label=True),
        Judgment(query="a cat", instruction="", candidate=photo, label=False),
    )


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"query": None}, "no query: a text in UTF-8"),
        ({"query": "  "}, "no query: a text in UTF-8"),
        ({"query": "half \ud83d"}, "no query: a text in UTF-8"),
        ({"instruction": 3}, "instruction must be a text in UTF-8"),
        ({"candidate": ""}, "no candidate: the path of a photo"),
        ({"candidate": ["p/red.png"]}, "no candidate: the path of a photo"),
        ({"label": "yes"}, "label must be 1 or 0, not 'yes'"),
        ({"label": 2}, "label must be 1 or 0, not 2"),
        ({"label": None}, "label must be 1 or 0, not None"),
        ({"candidate": "p/none.png"}, "missing (named by triples.jsonl:2)"),
        ({"candidate": "x" * 5_000}, "missing (named by triples.jsonl:2)"),
    ],
)
def test_a_line_that_cannot_be_used_is_named(
    change: dict[str, object], reason: str, tmp_path: Path
) -> None:
    found = read_triples(written(tmp_path, GOOD, {**GOOD, **change}, GOOD))
    assert len(found.triples) == 2
    assert [skip.reason for skip in found.skipped] == [reason]


def test_lines_without_label_or_json_are_named_by_their_number(tmp_path: Path) -> None:
    bare = {name: value for name, value in GOOD.items() if name != "label"}
    found = read_triples(written(tmp_path, bare, "{", "[1]", GOOD))
    names = [(skip.path.name, skip.reason.partition(" (")[0]) for skip in found.skipped]
    assert names == [
        ("triples.jsonl:1", "no label: 1 or 0"),
        ("triples.jsonl:2", "not JSON"),
        ("triples.jsonl:3", "no query: a text in UTF-8"),
    ]


def test_nothing_usable_is_an_error_that_says_why(tmp_path: Path) -> None:
    with pytest.raises(PairsInvalid, match=r"no usable triple in .*triples\.jsonl:1: not JSON"):
        read_triples(written(tmp_path, "{"))
    with pytest.raises(PairsInvalid, match="no triples at 'nowhere': there is no such file"):
        read_triples(Path("nowhere"))
