"""The reranker that ships, asked for things that no caption of its training named."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from skimage import data as samples

from retrieval._resources import resource
from retrieval.builtin_reranker.instruction_reranker import InstructionReranker
from retrieval.builtin_reranker.word_detectors import load_spotter
from retrieval.models import load_encoder
from retrieval.rerankers import load_reranker

NAMES = ("astronaut", "chelsea", "coffee", "rocket", "coins", "moon", "brick")


@pytest.fixture(scope="module")
def reranker() -> InstructionReranker:
    found = load_reranker("builtin", load_encoder("builtin", "cpu"))
    assert isinstance(found, InstructionReranker)
    return found


@pytest.mark.parametrize(
    ("thing", "photo"), [("coins", "coins"), ("an espresso", "coffee"), ("a tabby", "chelsea")]
)
def test_what_no_caption_named_is_followed(
    reranker: InstructionReranker, thing: str, photo: str
) -> None:
    assert not load_spotter(resource("reranker")).named(thing)
    photos = [Image.fromarray(getattr(samples, name)()).convert("RGB") for name in NAMES]
    sights = reranker.look(photos)

    def changed(instruction: str) -> dict[str, float]:
        texts = ("an object", instruction), ("an object", "")
        told, plain = (reranker.score([text] * len(sights), sights) for text in texts)
        return dict(zip(NAMES, np.subtract(told, plain).tolist(), strict=True))

    asked, forbidden = changed(f"only photos with {thing}"), changed(f"no {thing}")
    assert max(asked, key=asked.__getitem__) == photo
    assert min(forbidden, key=forbidden.__getitem__) == photo


@pytest.mark.parametrize("name", ["astronaut", "chelsea", "coffee", "rocket"])
def test_black_and_white_is_a_look_of_the_photo(reranker: InstructionReranker, name: str) -> None:
    colour = Image.fromarray(getattr(samples, name)()).convert("RGB")
    sights = reranker.look([colour, colour.convert("L").convert("RGB")])

    def fall(instruction: str) -> float:
        told, plain = (reranker.score([("a photo", w)] * 2, sights) for w in (instruction, ""))
        coloured, grey = told - plain
        return float(grey - coloured)

    assert fall("only black and white photos") > 1
    assert fall("no monochrome pictures") < -1
