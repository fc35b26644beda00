"""Models whose tokenizer knows every word: of one that reads English alone, scripts are told."""

from __future__ import annotations

import pytest

from retrieval.models.model_catalog import spec_of
from retrieval.search.spell_hints import spelling, unknown_words
from tests.fakes import ColourEncoder


class KnowsAll(ColourEncoder):
    """Cuts words into pieces of sentences, so that none can be told from another."""

    def knows(self, word: str) -> bool:
        return True


@pytest.mark.parametrize(
    ("model", "unknown"),
    [
        ("fast", ["собака"]),
        ("best", []),
        ("good", []),
        ("multilingual", []),
        ("hf-hub:any/other", []),
    ],
)
def test_another_script(model: str, unknown: list[str]) -> None:
    encoder = KnowsAll(name=spec_of(model), fingerprint=model)
    assert unknown_words(encoder, "собака dgo strand") == unknown
    said = spelling(unknown_words(encoder, "собака"), "собака")
    assert said.endswith("twinlens models fetch multilingual" if unknown else "")
    assert bool(said) == bool(unknown)
