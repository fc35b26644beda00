"""What the reranker that ships reads in plain wordings: asks, forbids, or neither."""

from __future__ import annotations

import pytest

from retrieval.builtin_reranker.instruction_reranker import InstructionReranker
from retrieval.instructions.parser import split_constraints
from retrieval.models import load_encoder
from retrieval.rerankers import load_reranker

SURE = 0.5

ASKS = [
    "with grass",
    "only photos with grass",
    "it must show a street",
    "exactly two people",
    "black and white",
    "in black and white",
    "only at night",
    "outdoors",
    "indoors",
    "a close-up",
    "prefer children",
    "do not leave out photos with a dog",
    "leave out photos without a dog",
    "at least one horse",
]
FORBIDS = [
    "no people",
    "without people",
    "leave out photos with grass",
    "it must not show a street",
    "nothing with water",
    "anything but a dog",
    "rather than beaches",
    "not at night",
    "do not show me dogs",
    "ignore photos in which there is snow",
    "not blurry",
    "I do not want to see cars",
]
NEITHER = [
    "find good photos",
    "with or without a dog",
    "it does not matter whether there is a dog",
    "best match first",
    "rank the photos by how well they match",
    "please",
]


@pytest.fixture(scope="module")
def reranker() -> InstructionReranker:
    found = load_reranker("builtin", load_encoder("builtin", "cpu"))
    assert isinstance(found, InstructionReranker)
    return found


def test_plain_wordings_are_read_right(reranker: InstructionReranker) -> None:
    asks, forbids = reranker.signs(ASKS), reranker.signs(FORBIDS)
    assert [w for w, sign in zip(ASKS, asks, strict=True) if sign < SURE] == []
    assert [w for w, sign in zip(FORBIDS, forbids, strict=True) if sign > -SURE] == []
    neither = reranker.signs(NEITHER)
    assert [w for w, sign in zip(NEITHER, neither, strict=True) if abs(sign) > SURE] == []


@pytest.mark.parametrize(
    ("instruction", "signs"),
    [
        ("with grass but no people", [1, -1]),
        ("only at night, no cars", [1, -1]),
        ("outdoors and in black and white", [1, 1]),
        ("no dogs and no people, but with a car", [-1, -1, 1]),
        ("mountains rather than beaches", [1, -1]),
    ],
)
def test_each_wish_has_its_own_sign(
    reranker: InstructionReranker, instruction: str, signs: list[int]
) -> None:
    read = reranker.signs(split_constraints(instruction))
    assert [round(float(sign)) for sign in read] == signs
