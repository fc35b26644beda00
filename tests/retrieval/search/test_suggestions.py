"""Completions while a query is typed: what they are, what they put where, and how many have it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from indexer.catalog.changes import FileState
from indexer.core.types import Kind, Metadata
from indexer.library.batch import BatchEntry, IndexBatch
from indexer.library.library import Library
from retrieval.concepts.store import Concept, Concepts
from retrieval.search.suggestions import Suggester, SuggestionKind
from tests.fakes import ColourEncoder

PHOTOS = (
    ("2019/a.jpg", Metadata(camera="Apple iPhone 12", place="Rome, Italy", keywords=("beach",))),
    ("2019/b.jpg", Metadata(camera="Apple iPhone 12 Pro", place="Rome, Italy")),
    ("2020/c.png", Metadata(camera="Nikon D750", place="Trastevere, Rome, Italy",
                            caption="Beaches and a café by the sea")),
    ("2020/summer by the sea/d.mp4", Metadata(place="New York City, New York, United States",
                                              keywords=("Süden", "sea"), caption="the sea")),
)  # fmt: skip


def entry(name: str, about: Metadata, text: str = "") -> BatchEntry:
    """Describe a photo, or a text, that there is none of."""
    kind = Kind.TEXT if text else Kind.PHOTO
    state = FileState(
        path=Path("/made-up/photos") / name, kind=kind, size=1, mtime_ns=1,
        digest=name.encode(), reader="", stamp="1",
    )  # fmt: skip
    vectors = np.eye(1, ColourEncoder().dim, dtype=np.float32)
    described = about if kind == Kind.PHOTO else None
    return BatchEntry(state=state, texts=(text,), vectors=vectors, about=described)


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    """Four photos with cameras, places, keywords and captions, and a text."""
    with Library.create(tmp_path / "library", ColourEncoder()) as library:
        entries = [entry(name, about) for name, about in PHOTOS]
        entries.append(entry("note.txt", Metadata(), "a seashell"))
        library.commit(IndexBatch(entries=entries, roots=[Path("/made-up/photos")]))
        yield library


def completed(library: Library, text: str, kind: Kind = Kind.PHOTO) -> list[tuple[str, int | None]]:
    """What a query becomes with each completion where "|" is the caret, with its count."""
    at = text.index("|")
    text = text.replace("|", "")
    return [
        (text[: each.start] + each.insert + text[each.end :], each.count)
        for each in Suggester(library).complete(text, at, kind)
    ]


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("cam|", ["camera:"]),
        ("a dog -ca|", ["a dog -camera:"]),
        ("be|", ["before:", "tag:beach", "beach", "beaches"]),
        ("a bea| at night", ["a tag:beach at night", "a beach at night", "a beaches at night"]),
        ("cafe|", ["cafe"]),
        ("caf|é", ["cafe"]),
        ("sud|", ["tag:Süden", "suden"]),
        ("a dog iph|", ['a dog camera:"=Apple iPhone 12"', 'a dog camera:"=Apple iPhone 12 Pro"']),
        ("rom|", ['near:"=Rome, Italy"']),
        ("new yo|", ['near:"=New York, United States"',
                     'near:"=New York City, New York, United States"']),
        ("-trast|", ['-near:"=Trastevere, Rome, Italy"']),
        ("x|", []),
        ("a | dog", []),
    ],
)  # fmt: skip
def test_a_word_is_completed(library: Library, typed: str, expected: list[str]) -> None:
    assert [text for text, _ in completed(library, typed)] == expected


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("camera:iph|", [('camera:"=Apple iPhone 12"', 1), ('camera:"=Apple iPhone 12 Pro"', 1)]),
        ('a camera:"nik| dog', [('a camera:"=Nikon D750"', 1)]),
        ('camera:"nik|on" dog', [('camera:"=Nikon D750" dog', 1)]),
        ("-camera:d7|", [('-camera:"=Nikon D750"', 1)]),
        ("near:=it|", [("near:=Italy", 3), ]),
        ("tag:|", [("tag:beach", 1), ("tag:sea", 1), ("tag:Süden", 1)]),
        ("in:20|", [("in:/made-up/photos/2019", 2), ("in:/made-up/photos/2020", 2)]),
        ("in:/made-up/photos/2020/|", [('in:"/made-up/photos/2020/summer by the sea"', 1)]),
        ("type:|", [("type:jpg", 2), ("type:png", 1), ("type:video", 1)]),
        ("orientation:|", []),
        ("camra:x100|", [("camera:x100", None)]),
        ("keyword:be|", [("tag:be", None)]),
        ("date:2019|", [("after:2019", None), ("before:2019", None)]),
        ("note:this|", []),
    ],
)  # fmt: skip
def test_a_filter_is_completed(
    library: Library, typed: str, expected: list[tuple[str, int | None]]
) -> None:
    found = completed(library, typed)
    assert found[: len(expected)] == expected
    assert expected or not found


def test_towns_of_the_world_follow_those_of_the_library(library: Library) -> None:
    texts = completed(library, "near:mila|")
    assert texts[0] == ('near:"Milan, Italy"', None)
    assert completed(library, "near:rom|")[0] == ('near:"=Rome, Italy"', 3)


def test_counts_and_kinds(library: Library) -> None:
    found = Suggester(library).complete("sea")
    assert [(each.kind, each.label, each.count) for each in found] == [
        (SuggestionKind.KEYWORD, "sea", 1),
        (SuggestionKind.FOLDER, "summer by the sea", 1),
        (SuggestionKind.WORD, "sea", 2),
    ]
    assert [each.label for each in Suggester(library).complete("sea", kind=Kind.TEXT)] == [
        "seashell"
    ]


def test_an_empty_query_is_begun_with_a_filter(library: Library) -> None:
    found = Suggester(library).complete("", limit=20)
    assert {each.kind for each in found} == {SuggestionKind.FILTER}
    assert [each.insert for each in found] == [
        "after:", "before:", "near:", "camera:", "in:", "tag:", "type:", "orientation:", "rating:",
    ]  # fmt: skip
    assert len(Suggester(library).complete("", limit=3)) == 3


def test_learned_names_come_first(library: Library) -> None:
    tokens = np.zeros((1, 2), dtype=np.float32)
    for name in ("Beate", "Uncle Bob"):
        Concepts(library.folder).save(
            Concept(name=name, tokens=tokens, like="", model="", fingerprint="",
                    photos=1, steps=1, seed=0)
        )  # fmt: skip
    assert completed(library, "a photo of bea|")[0] == ("a photo of Beate", None)
    assert completed(library, "with uncle b|")[0] == ("with Uncle Bob", None)


def test_a_commit_is_noticed_after_some_seconds(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    suggester = Suggester(library)
    assert suggester.complete("tag:zebra") == []
    new = entry("e.jpg", Metadata(keywords=("zebra",)))
    library.commit(IndexBatch(entries=[new]))
    assert suggester.complete("tag:zebra") == []
    monkeypatch.setattr("retrieval.search.suggestions.FRESH_SECONDS", -1.0)
    assert [each.insert for each in suggester.complete("tag:zebra")] == ["tag:zebra"]


def test_the_caret_may_lie_anywhere(library: Library) -> None:
    text = 'a "be tag:be -camera:"n" \u00fcb'
    for at in range(-1, len(text) + 2):
        for each in Suggester(library).complete(text, at):
            assert 0 <= each.start <= max(0, min(at, len(text))) <= each.end <= len(text)
