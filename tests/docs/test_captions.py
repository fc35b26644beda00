"""The shipped texts: the bank of generic captions is what its script makes, and prompts fit."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SPEC = importlib.util.spec_from_file_location("make_captions", ROOT / "scripts/make_captions.py")
assert SPEC is not None
assert SPEC.loader is not None
make_captions = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(make_captions)


def lines(name: str) -> list[str]:
    """The lines of a shipped text."""
    return (ROOT / "data" / name).read_text(encoding="utf-8").splitlines()


def test_the_bank_is_what_the_script_makes() -> None:
    patterns = (ROOT / "scripts/captions.txt").read_text(encoding="utf-8")
    assert make_captions.make_captions(patterns) == lines("captions.txt")


def test_captions_are_unlike_short_and_plain() -> None:
    captions = lines("captions.txt")
    assert len({caption.lower() for caption in captions}) == len(captions)
    for caption in captions:
        assert 3 <= len(caption.split()) <= 20, caption
        assert caption == " ".join(caption.split()), caption
        assert not set(caption) & set("[]|{}."), caption


@pytest.mark.parametrize(
    ("line", "made"),
    [
        ("a [apple|apple] on  a table", "an apple on a table"),
        ("a [one-way|one-way] street", "a one-way street"),
        ("a university", "a university"),
        ("a [|] dog", "a dog"),
    ],
)
def test_a_pattern_gives_a_sentence(line: str, made: str) -> None:
    assert make_captions.Pattern(line, make_captions.random.Random(0)).draw() == made


def test_options_come_up_equally_often() -> None:
    pattern = make_captions.Pattern("[a|b|c]", make_captions.random.Random(0))
    drawn = [pattern.draw() for _ in range(30)]
    assert {each: drawn.count(each) for each in "abc"} == {"a": 10, "b": 10, "c": 10}


def test_a_topic_with_too_few_captions_is_refused() -> None:
    with pytest.raises(ValueError, match=r"only 2 captions, not 3, come from: a \[cat\|dog\]"):
        list(make_captions.draw_topic(["a [cat|dog]"], 3, make_captions.random.Random(0)))


def test_prompts_hold_one_place_each_and_the_bare_words_are_among_them() -> None:
    prompts = lines("prompts.txt")
    assert len(set(prompts)) == len(prompts) == 8
    assert all(prompt.count("{}") == 1 for prompt in prompts)
    assert "{}" in prompts
