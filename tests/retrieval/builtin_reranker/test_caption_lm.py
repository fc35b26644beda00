"""How likely captions are of photos, against the same network in torch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from retrieval.builtin_reranker.caption_lm import (
    END,
    START,
    TELLING,
    UNKNOWN,
    CaptionLM,
    load_teller,
    no_telling,
    rounded,
    save_teller,
    sentence,
)
from retrieval.builtin_reranker.training.caption_lm_training import CaptionModel
from retrieval.errors import ModelUnavailable

WORDS = ("a", "dog", "run", "on", "the", "grass", "red")
PHOTOS, TOKENS, WIDTH = 3, 5, 12


def tokens() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(PHOTOS, TOKENS, WIDTH)).astype(np.float32)


def models() -> list[CaptionModel]:
    torch.manual_seed(0)
    made = []
    for _ in range(2):
        model = CaptionModel(len(WORDS) + UNKNOWN + 1, torch.from_numpy(tokens())).eval()
        with torch.no_grad():
            for weight in model.parameters():
                weight.add_(0.1 * torch.randn_like(weight))
        made.append(model)
    return made


def teller() -> CaptionLM:
    weights = [{n: w.numpy() for n, w in model.state_dict().items()} for model in models()]
    return CaptionLM(words=WORDS, models=tuple(weights))


@torch.inference_mode()
def told(model: CaptionModel, ids: list[int], photo: int) -> float:
    def likely(sights: torch.Tensor) -> float:
        logs = model(torch.tensor([ids[:-1]]), sights)[0].log_softmax(-1)
        return sum(float(logs[n, i]) for n, i in enumerate(ids[1:]) if i > UNKNOWN)

    seen = model.sights(torch.from_numpy(tokens()[photo : photo + 1]))
    return likely(seen) - likely(model.without().expand(1, TOKENS, -1))


def test_a_text_is_told_from_both_ends() -> None:
    texts = ["A dog runs on the grass.", "The red dogs run on a zebra"]
    scores = teller().score(texts, tokens(), [0, 1, 0, 1], [2, 0, 1, 0])
    forwards, backwards = models()
    for number, (text, photo) in enumerate([(0, 2), (1, 0), (0, 1), (1, 0)]):
        words = [WORDS.index(w) + 4 if w in WORDS else UNKNOWN for w in sentence(texts[text])]
        wanted = told(forwards, [START, *words, END], photo)
        wanted += told(backwards, [START, *words[::-1], END], photo)
        assert scores[number] == pytest.approx(wanted, abs=1e-4)


def test_names_and_unknown_words_tell_nothing() -> None:
    texts = ["a red dog", "four words nobody knows", "A photo of the dog", "a dog on grass"]
    scores = teller().score(texts, tokens(), [0, 1, 2, 3], [0, 0, 0, 0])
    assert scores[:3].tolist() == [0.0, 0.0, 0.0]
    assert scores[3] != 0.0


def test_a_photo_of_something_is_told_like_it() -> None:
    texts = ["a dog runs on grass", "A photo of a dog runs on grass"]
    alone, after_a_photo_of = teller().score(texts, tokens(), [0, 1], [0, 0])
    assert alone == pytest.approx(after_a_photo_of, abs=1e-4)


def test_one_couple_scores_as_it_does_among_others() -> None:
    mine, text = teller(), "a dog runs on the red grass"
    texts = [text, *(f"the dog on a {word}" for word in WORDS)] * 20
    together = mine.score(texts, tokens(), range(len(texts)), [1] * len(texts))
    assert together[0] == pytest.approx(mine.score([text], tokens(), [0], [1])[0], rel=1e-5)


def test_without_a_model_nothing_is_told() -> None:
    assert no_telling().score(["a dog on grass"], tokens(), [0, 0], [0, 1]).tolist() == [0.0, 0.0]
    assert teller().score([], tokens(), [], []).shape == (0,)


def test_what_is_rounded_is_what_comes_back(tmp_path: Path) -> None:
    mine = CaptionLM(words=WORDS, models=tuple(map(rounded, teller().models)))
    save_teller(mine, tmp_path)
    for one, other in zip(mine.models, load_teller(tmp_path, 2).models, strict=True):
        assert all(np.allclose(one[name], other[name], rtol=1e-6) for name in one)


def test_it_comes_back_from_disk(tmp_path: Path) -> None:
    mine, text = teller(), ["a dog runs on the grass"]
    save_teller(mine, tmp_path)
    back = load_teller(tmp_path, 2)
    assert back.words == WORDS
    wanted = mine.score(text, tokens(), [0], [0])
    assert back.score(text, tokens(), [0], [0]) == pytest.approx(wanted, rel=3e-2)
    assert load_teller(tmp_path / "nowhere", 0).models == ()


@pytest.mark.parametrize(
    ("content", "message"), [(None, f"lacks {TELLING}"), (b"junk", "damaged or of another kind")]
)
def test_damage_is_named(tmp_path: Path, content: bytes | None, message: str) -> None:
    if content is not None:
        (tmp_path / TELLING).write_bytes(content)
    with pytest.raises(ModelUnavailable, match=message):
        load_teller(tmp_path, 2)


def test_a_file_of_fewer_models_is_refused(tmp_path: Path) -> None:
    save_teller(CaptionLM(words=WORDS, models=teller().models[:1]), tmp_path)
    with pytest.raises(ModelUnavailable, match="damaged or of another kind"):
        load_teller(tmp_path, 2)
