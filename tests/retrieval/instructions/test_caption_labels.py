"""The grammar of instructions, and what captions and pixels tell."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from indexer.core.errors import UsageError
from retrieval.instructions.caption_labels import label, label_captions, looks_of
from retrieval.instructions.templates import (
    LOOK,
    Ask,
    Attribute,
    InstructionTemplates,
    Wordings,
    asks_of,
    read_grammar,
    shipped_grammar,
)

DOG = Attribute(family="animal", phrase="a dog", words=("dog", "dogs", "puppy"))


def test_several_captions_are_believed_and_one_is_not() -> None:
    captions = [
        ["A dog runs .", "The Dogs play here ."],
        ["A puppy sits on a sofa", "an animal sits there", "something brown on a sofa"],
        ["A cat on a sofa", "the hotdog stand at night"],
        ["one puppy alone"],
        ["dragonfly", "insect"],
    ]
    assert label_captions(captions, DOG).tolist() == [1, 0, -1, 1, 0]


@pytest.mark.parametrize(
    ("colour", "looks"),
    [
        ((10, 10, 10), {"black and white": 1, "dark": 1, "bright": -1, "colourful": -1}),
        ((250, 250, 250), {"black and white": 1, "dark": -1, "bright": 1, "colourful": -1}),
        ((20, 20, 200), {"black and white": -1, "dark": 1, "bright": -1, "colourful": 0}),
    ],
)
# Of the last: 0.3 * |(20 + 20) / 2 - 200| = 54, neither colourful nor not.
def test_pixels_tell_how_a_photo_looks(colour: tuple[int, int, int], looks: dict[str, int]) -> None:
    assert looks_of(Image.new("RGB", (90, 60), colour)) == looks


def test_many_colours_are_colourful() -> None:
    photo = Image.new("RGB", (90, 60), (250, 20, 20))
    photo.paste((20, 20, 250), (0, 0, 45, 60))
    assert looks_of(photo)["colourful"] == 1


def test_captions_and_pixels_are_labelled_together() -> None:
    dark = Attribute(family=LOOK, phrase="dark", words=())
    found = label(
        [DOG, dark], [["a dog runs here"], ["a cat sits there"]], [{"dark": -1}, {"dark": 1}]
    )
    assert np.array_equal(found, [[1, -1], [-1, 1]])


def test_the_shipped_grammar_holds_a_family_and_wordings_back() -> None:
    grammar = shipped_grammar()
    held = [each for each in grammar.attributes if grammar.is_held(each)]
    assert {each.family for each in held} == {"scene"}
    assert set(grammar.templates) == set(Ask)
    rng = np.random.default_rng(0)
    for ask in Ask:
        apart = [
            grammar.wordings(ask, held[0], held=True),
            grammar.wordings(ask, held[0], held=False),
        ]
        learned = {grammar.draw(ask, held[0].phrase, rng) for _ in range(300)}
        assert learned.isdisjoint(apart[0])
        assert learned.isdisjoint(apart[1])
        assert set(apart[0]).isdisjoint(apart[1])
        assert not any(mark in wording for wording in learned for mark in "[]{}|")


def test_a_template_is_filled() -> None:
    templates = Wordings(learned=("[no|] {noun} [in {}|]",), tuning=(), held=())
    grammar = InstructionTemplates(
        attributes=(), held_families=frozenset(), templates={Ask.WITHOUT: templates}
    )
    rng = np.random.default_rng(0)
    drawn = {grammar.draw(Ask.WITHOUT, "the sea", rng) for _ in range(50)}
    assert drawn == {"no sea", "sea", "no sea in the sea", "sea in the sea"}
    assert grammar.frame() == {"no", "in"}


def test_what_an_instruction_wants_has_a_sign() -> None:
    assert {ask: ask.sign for ask in Ask} == {
        Ask.WITH: 1, Ask.PREFER: 1, Ask.LOOK: 1, Ask.WITHOUT: -1, Ask.NOT_LOOK: -1,
        Ask.EITHER: 0, Ask.ANYTHING: 0,
    }  # fmt: skip


def test_a_look_is_asked_for_in_words_of_its_own() -> None:
    look = Attribute(family=LOOK, phrase="dark", words=())
    assert [asks_of(look, wanted=True), asks_of(look, wanted=False)] == [Ask.LOOK, Ask.NOT_LOOK]
    assert [asks_of(DOG, wanted=True), asks_of(DOG, wanted=False)] == [Ask.WITH, Ask.WITHOUT]


@pytest.mark.parametrize("text", ["families = 1", "no toml at all", "held_families = []"])
def test_a_file_that_is_no_grammar_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "grammar.toml"
    path.write_text(text)
    with pytest.raises(UsageError, match=r"grammar\.toml"):
        read_grammar(path)
    with pytest.raises(UsageError, match="cannot read the grammar"):
        read_grammar(tmp_path / "missing.toml")
