"""Plain negation in a query, and what only looks like one."""

from __future__ import annotations

import pytest

from retrieval.search import parse_query
from retrieval.search.negation import parted


@pytest.mark.parametrize(
    ("text", "wanted", "unwanted"),
    [
        ("a beach without people", "a beach", ["people"]),
        ("a street with no cars", "a street", ["cars"]),
        ("a street with no cars at night", "a street at night", ["cars"]),
        ("a beach with no one", "a beach", ["people"]),
        ("a beach without anyone in sight", "a beach", ["people"]),
        ("a room without people or pets", "a room", ["people", "pets"]),
        ("a room without furniture, plants or people", "a room", ["furniture", "plants", "people"]),
        ("a beach, no people, sunset", "a beach sunset", ["people"]),
        ("beach but no people", "beach", ["people"]),
        ("beach no people", "beach", ["people"]),
        ("a dog but not a cat", "a dog", ["cat"]),
        ("a dog, not a cat", "a dog", ["cat"]),
        ("a landscape free of snow", "a landscape", ["snow"]),
        ("mountains excluding trees", "mountains", ["trees"]),
        ("animals except dogs and cats", "animals", ["dogs", "cats"]),
        ("a beach with no people and a red umbrella", "a beach and a red umbrella", ["people"]),
        ("a house that has no windows and no door", "a house", ["windows", "door"]),
        ("a field where there are no trees", "a field", ["trees"]),
        ("no people", "", ["people"]),
        ("No people please", "", ["people"]),
        ("nobody", "", ["people"]),
        ("a photo without a dog", "", ["dog"]),
        ("show me all photos that do not show cars", "", ["cars"]),
        ("everything except people", "", ["people"]),
    ],
)
def test_clear_forms_are_understood(text: str, wanted: str, unwanted: list[str]) -> None:
    found = parted(text)
    assert found is not None
    assert (found.wanted, list(found.unwanted)) == (wanted, unwanted)


@pytest.mark.parametrize(
    "text",
    [
        "a beach",
        "a man with no shirt",
        "a dog without a leash",
        "a woman without shoes",
        "no parking sign",
        "a no smoking sign",
        "no entry",
        "a sign that says no dogs",
        "no man's land",
        "a bus with the no. 7",
        "no longer young",
        "a man not smiling",
        "two dogs without their owner",
        "a knot in a rope at noon",
        "a note on a table",
        "yes or no",
        "without",
    ],
)
def test_all_else_is_left_as_it_stands(text: str) -> None:
    assert parted(text) is None
    assert parse_query(text).text == text
    assert parse_query(text).terms == ()


def test_what_is_understood_is_told() -> None:
    query = parse_query("a beach without people or dogs", filters=[("after", "2019")])
    assert [(term.query.text, term.weight) for term in query.terms] == [
        ("a beach", 1), ("people", -1), ("dogs", -1),
    ]  # fmt: skip
    assert query.filters == "after:2019"
    assert query.text == "a beach without people or dogs"
    assert query.notes == (
        "searching for: a beach - people - dogs; to search for the words as they stand, put quotes "
        "around the whole query",
    )


def test_terms_with_signs_may_negate_too() -> None:
    query = parse_query("2:beach without people + sunset - no dogs")
    assert [(term.query.text, term.weight) for term in query.terms] == [
        ("beach", 2), ("people", -2), ("sunset", 1), ("no dogs", -1),
    ]  # fmt: skip


def test_a_file_that_asks_is_not_taken_apart(tmp_path) -> None:
    note = tmp_path / "note.txt"
    note.write_text("a beach without people", encoding="utf-8")
    assert parse_query(note).terms == ()


def test_what_is_worn_gets_a_hint() -> None:
    assert parse_query("a man with no shirt").hint.endswith("to remove shirt, write: - shirt")
