"""Names in texts: which words count as one, and what the text tower reads in their place."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from retrieval.concepts.concept_encoder import ConceptNames
from retrieval.concepts.store import Concept, Concepts, clean_name, new_name
from retrieval.errors import ConceptInvalid
from retrieval.models import TorchEncoder, load_encoder
from retrieval.models.phrases import slot_ids
from tests.tiny_clip import TINY_CLIP, tiny_clip


def concept(name: str, tokens: int = 1, **facts: str) -> Concept:
    return Concept(
        name=name,
        tokens=np.ones((tokens, 4), dtype=np.float32),
        like="dog",
        model=facts.get("model", "builtin"),
        fingerprint=facts.get("fingerprint", "f"),
        photos=5,
        steps=60,
        seed=0,
    )


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("Rex on a beach", ("", range(2), "on a beach")),
        ("a photo of rex", ("a photo of", range(2), "")),
        ("REX, asleep", ("", range(2), ", asleep")),
        ("rex junior and Rex", ("", range(2, 5), "and", range(2), "")),
        ("rex \t JUNIOR runs", ("", range(2, 5), "runs")),
        ("Zoë's cat", ("", range(5, 6), "'s cat")),
        ("Zoe\u0308 smiles", ("", range(5, 6), "smiles")),  # the dots as a sign of their own
        ("T-rex", ("T-", range(2), "")),
        ("rexes and Trex", None),
        ("a dog", None),
    ],
)
def test_a_name_is_a_whole_word_the_longest_first(text: str, wanted: tuple[object, ...]) -> None:
    names = ConceptNames([concept("Rex", 2), concept("Rex Junior", 3), concept("Zoë", 1)])
    found = names.phrase(text)
    if wanted is None:
        assert found is None
    else:  # rows count in the order of the table: the longest name first
        sizes = [len(part) if isinstance(part, range) else part for part in found or ()]
        assert sizes == [len(part) if isinstance(part, range) else part for part in wanted]
        used = {row for part in found or () if isinstance(part, range) for row in part}
        assert used <= set(range(len(names.table)))


def test_two_names_refer_to_rows_of_their_own() -> None:
    first, second = concept("Rex", 2), concept("Mimi", 1)
    names = ConceptNames([first, second])
    found = names.phrase("Mimi beside Rex") or ()
    rows = [list(part) for part in found if isinstance(part, range)]
    assert sorted(row for part in rows for row in part) == [0, 1, 2]


@pytest.mark.parametrize("written", ["", "  \n", "x" * 61, "\x07", "!?"])
def test_what_is_no_name_is_refused(written: str) -> None:
    with pytest.raises(ConceptInvalid):
        clean_name(written)


@pytest.mark.parametrize("written", ["the", "My", " photo "])
def test_a_word_of_many_queries_is_no_new_name(written: str) -> None:
    with pytest.raises(ConceptInvalid, match="is a common word in queries"):
        new_name(written)
    assert new_name("The Rex") == "The Rex"


def test_a_name_is_kept_with_single_spaces_and_composed() -> None:
    assert clean_name("  my \n dog ") == "my dog"
    assert clean_name("Zoe\u0308") == "Zoë"


def test_concepts_come_back_as_they_were_saved(tmp_path: Path) -> None:
    concepts = Concepts(tmp_path)
    assert not concepts.save(concept("Rex"))
    assert not concepts.save(concept("r/e:x"))
    assert concepts.save(concept("REX", 3))  # the same name
    (other, rex), skipped = concepts.read()
    assert (other.name, rex.name, skipped) == ("r/e:x", "REX", [])
    np.testing.assert_array_equal(rex.tokens, np.ones((3, 4)))
    concepts.forget("rex")
    assert [each.name for each in concepts.read()[0]] == ["r/e:x"]
    with pytest.raises(
        ConceptInvalid, match="no name 'rex' has been learned; learned names: r/e:x"
    ):
        concepts.forget("rex")


@pytest.mark.parametrize("damage", ["cut", "nan", "format"])
def test_a_broken_concept_is_named_and_the_others_stay(damage: str, tmp_path: Path) -> None:
    concepts = Concepts(tmp_path)
    concepts.save(concept("Rex"))
    (path,) = (tmp_path / "concepts").iterdir()
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-3])
    else:
        tokens = load_file(path)["tokens"] * (np.float32("nan") if damage == "nan" else 1)
        save_file({"tokens": tokens}, path, metadata={"format": "1" if damage == "nan" else "9"})
    concepts.save(concept("Mimi"))
    (mimi,), (skip,) = concepts.read()
    assert (mimi.name, skip.path) == ("Mimi", path)
    assert skip.reason.startswith("broken concept")


@pytest.fixture(scope="module")
def of_open_clip(tmp_path_factory: pytest.TempPathFactory) -> TorchEncoder:
    weights = tiny_clip(tmp_path_factory.mktemp("openclip"))
    return load_encoder(f"{TINY_CLIP}/{weights}", "cpu")


@pytest.mark.parametrize("which", ["builtin", "of_open_clip"])
def test_a_words_own_vectors_in_its_place_change_nothing(
    which: str, request: pytest.FixtureRequest
) -> None:
    encoder: TorchEncoder = request.getfixturevalue(which)
    table = encoder.prompt_tower().word_vectors("golden retriever")
    slots = range(len(table))
    read = encoder.encode_phrases([("a photo of a", slots, "on grass"), (slots,)], table)
    texts = ["a photo of a golden retriever on grass", "golden retriever"]
    plain = encoder.encode_texts(texts)
    np.testing.assert_allclose(read, plain, atol=1e-5)
    other = encoder.encode_phrases([("a photo of a", slots, "on grass")], 1.5 * table + 0.1)
    assert np.abs(other - plain[:1]).max() > 1e-3
    np.testing.assert_array_equal(encoder.encode_texts(texts), plain)  # bit for bit


def test_slots_are_cut_where_the_context_ends(builtin: TorchEncoder) -> None:
    tokenize = builtin._model.tokenize
    ids = slot_ids(lambda texts: tokenize(texts).numpy(), [("word " * 61, range(5), "end")])
    assert ids.shape == (1, 64)
    assert ids[0, 62:63].tolist() == [-1]  # one of five is left, before the closing token
