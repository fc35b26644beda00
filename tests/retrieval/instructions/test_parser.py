"""Instructions of several wishes are taken apart, and those of one stay whole."""

from __future__ import annotations

import numpy as np
import pytest

from retrieval.instructions.parser import constraint_topic, split_constraints
from retrieval.instructions.templates import LOOK, Ask, shipped_grammar


@pytest.mark.parametrize(
    ("instruction", "wishes"),
    [
        ("with grass but no people", ["with grass", "no people"]),
        ("only at night, no cars", ["only at night", "no cars"]),
        ("outdoors and in black and white", ["outdoors", "in black and white"]),
        ("snow and a dog, but no people and no cars", ["snow and a dog", "no people", "no cars"]),
        ("No people. Only dogs.", ["No people", "Only dogs"]),
        ("do not show dogs, show cats", ["do not show dogs", "show cats"]),
        ("leave out dogs and hide people", ["leave out dogs", "hide people"]),
        ("mountains rather than beaches", ["mountains", "rather than beaches"]),
        ("show beaches instead of mountains", ["show beaches", "instead of mountains"]),
        ("exactly two people and no dogs", ["exactly two people", "no dogs"]),
        ("a close-up, not blurry", ["a close-up", "not blurry"]),
        ("no people, but with a car", ["no people", "with a car"]),
        ("indoors, prefer children", ["indoors", "prefer children"]),
        ("dogs must be there and people must not", ["dogs must be there", "people must not"]),
        ("a dog must be in it, a ball must not", ["a dog must be in it", "a ball must not"]),
        ("not too dark and not too bright", ["not too dark", "not too bright"]),
    ],
)
def test_each_wish_is_a_clause(instruction: str, wishes: list[str]) -> None:
    assert split_constraints(instruction) == wishes


@pytest.mark.parametrize(
    "instruction",
    [
        "salt and pepper",
        "a man and a woman",
        "a man and a woman must be in it",
        "no dogs or people",
        "no people, cars or dogs",
        "do not show me dogs and cats",
        "anything but a dog",
        "everything except dogs",
        "with or without a dog",
        "a dog or no dog, I do not mind",
        "keep, do not throw away, photos with a dog",
        "if there is a dog, leave it out",
        "leave out photos with a dog and with a man",
        "black and white, please",
        "rank the photos, best first",
    ],
)
def test_a_single_wish_stays_whole(instruction: str) -> None:
    assert split_constraints(instruction) == [instruction]


def test_nothing_is_no_wish() -> None:
    assert split_constraints("") == split_constraints("  ") == []


def test_no_way_to_ask_is_taken_apart() -> None:
    grammar, rng = shipped_grammar(), np.random.default_rng(0)
    of_look = next(each for each in grammar.attributes if each.family == LOOK)
    for ask in Ask:
        about = of_look if ask in (Ask.LOOK, Ask.NOT_LOOK) else grammar.attributes[0]
        texts = [grammar.draw(ask, about.phrase, rng) for _ in range(300)]
        for held in (False, True):
            texts += grammar.wordings(ask, about, held=held)
        assert [text for text in texts if len(split_constraints(text)) != 1] == []


@pytest.mark.parametrize(
    ("wish", "about"),
    [
        ("it must not show people", "people"),
        ("Leave out photos with a red fire-engine.", "red fire-engine"),
        ("no giraffes", "giraffes"),
        ("restrict the results to photos in which people can be seen", "people"),
        ("only what I typed", "only what I typed"),
    ],
)
def test_a_wish_is_about_something(wish: str, about: str) -> None:
    assert (
        constraint_topic(wish, lambda phrase: bool({"people", "red"} & set(phrase.split())))
        == about
    )


@pytest.mark.parametrize(
    ("wish", "about"),
    [
        ("please find one that lacks water", "water"),
        ("only photos featuring people", "people"),
        ("it's no good to me unless it's got people", "people"),
        ("no walking people", "walking people"),
        ("no frozen water", "frozen water"),
        ("no frosted people with walking wellies", "frosted people walking wellies"),
    ],
)
def test_verbs_that_no_photo_shows_are_left_out_of_what_a_wish_is_about(
    wish: str, about: str
) -> None:
    shown = {"people", "water", "walking"}
    assert constraint_topic(wish, lambda phrase: not shown.isdisjoint(phrase.split())) == about
