"""How wishes are scored, the signs they are scored by, and how a reranker is kept on disk."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from retrieval.builtin_reranker.instruction_reranker import SPREAD, InstructionReranker
from retrieval.builtin_reranker.polarity_classifier import PolarityClassifier, PolarityConfig
from retrieval.builtin_reranker.reranker_checkpoint import (
    CONFIG,
    WEIGHTS,
    RerankerCheckpoint,
    load_reranker_checkpoint,
    save_reranker,
)
from retrieval.builtin_reranker.style_detectors import StyleDetectors
from retrieval.errors import ModelUnavailable
from retrieval.models import TorchEncoder
from retrieval.reranking import FusionWeights
from tests.fakes import draw
from tests.retrieval.builtin_reranker.test_word_detectors import spotter
from tests.tiny import tiny_model

SHAPE = PolarityConfig(text_width=32, width=32, depth=1)


@pytest.fixture
def encoder(tmp_path: Path) -> TorchEncoder:
    return TorchEncoder(tiny_model(tmp_path / "tiny"), "cpu")


def reader(seed: int = 0) -> PolarityClassifier:
    torch.manual_seed(seed)
    return PolarityClassifier(SHAPE).eval()


def forbid(made: PolarityClassifier) -> None:
    """Let each word turn the sign, and forbid as a whole: of a single word, it is -1."""
    for each in made.readers:
        each.turn.weight.zero_()
        each.turn.bias.fill_(20.0)
        each.neither.weight.zero_()
        each.neither.bias.fill_(-20.0)
        each.verdict.weight.zero_()
        each.verdict.bias.copy_(torch.tensor([20.0, 0.0, 0.0]))


def reranker(encoder: TorchEncoder) -> InstructionReranker:
    checkpoint = RerankerCheckpoint(
        signs=reader(),
        encoder=encoder.fingerprint,
        fusion=FusionWeights(),
        spotter=spotter(words=("blue", "red")),
    )
    return InstructionReranker(checkpoint, encoder, "mine")


def test_a_score_depends_on_its_own_couple_alone(encoder: TorchEncoder, tmp_path: Path) -> None:
    from PIL import Image

    photos = [Image.open(draw(tmp_path / f"{name}.png", name)) for name in ("red", "blue")]
    mine = reranker(encoder)
    red, blue = mine.look([photo.convert("RGB") for photo in photos])
    asked = [("red", ""), ("a photo of blue and red beside the stripe", "no blue"), ("red", "")]
    together = mine.score(asked, [red, blue, blue])
    alone = [
        mine.score([text], [sight])[0] for text, sight in zip(asked, [red, blue, blue], strict=True)
    ]
    assert together == pytest.approx(alone, abs=1e-4)
    assert len(set(np.round(together, 6))) == 3


def test_a_wish_is_scored_by_words_and_cosine_times_its_sign(encoder: TorchEncoder) -> None:
    made = reader()
    with torch.no_grad():
        forbid(made)
    checkpoint = RerankerCheckpoint(
        signs=made,
        encoder=encoder.fingerprint,
        fusion=FusionWeights(),
        spotter=spotter(words=("blue", "red")),
    )
    mine = InstructionReranker(checkpoint, encoder, "mine")
    sight = np.random.default_rng(0).normal(size=(5, 48)).astype(np.float32)
    red, both = mine.score([("red", ""), ("red", "blue")], [sight] * 2)
    ((spotted_red,),) = checkpoint.spotter.score(["red"], sight[None])
    ((blue,),) = checkpoint.spotter.odds(["blue"], sight[None])
    alike = float(encoder.encode_texts(["blue"])[0] @ encoder.embed_tokens(sight[None])[0])
    assert red == pytest.approx(spotted_red)
    assert both == pytest.approx(red - blue - alike / SPREAD, abs=1e-3)


def test_a_wish_about_a_look_is_told_by_that_alone(encoder: TorchEncoder) -> None:
    made = reader()
    with torch.no_grad():
        forbid(made)
    looks = StyleDetectors(
        names=(("blue",),),
        weights=np.random.default_rng(1).normal(size=(1, 4 * 48)).astype(np.float32),
        bias=np.ones(1, dtype=np.float32),
    )
    checkpoint = RerankerCheckpoint(
        signs=made,
        encoder=encoder.fingerprint,
        fusion=FusionWeights(),
        spotter=spotter(),
        looks=looks,
    )
    mine = InstructionReranker(checkpoint, encoder, "mine")
    sight = np.random.default_rng(0).normal(size=(5, 48)).astype(np.float32)
    red, both = mine.score([("red", ""), ("red", "blue")], [sight] * 2)
    assert both == pytest.approx(red - looks.odds([0], sight[None])[0, 0], rel=1e-5)


def test_words_turn_the_sign_one_after_the_other(encoder: TorchEncoder) -> None:
    made = reader()
    with torch.no_grad():
        forbid(made)
    checkpoint = RerankerCheckpoint(signs=made, encoder=encoder.fingerprint, fusion=FusionWeights())
    signs = InstructionReranker(checkpoint, encoder, "mine").signs(["red", "a red", "a red photo"])
    assert signs == pytest.approx([-1.0, 0.0, -1.0], abs=1e-6)  # as a whole, all are -1


def test_wishes_of_one_instruction_are_added_up(encoder: TorchEncoder) -> None:
    mine = reranker(encoder)
    sight = np.random.default_rng(0).normal(size=(5, 48)).astype(np.float32)
    asked = [("a", ""), ("a", "blue but no red"), ("a", "blue"), ("a", "no red"), ("a", ".")]
    plain, both, one, other, none = mine.score(asked, [sight] * 5)
    assert both - plain == pytest.approx((one - plain) + (other - plain), abs=1e-4)
    assert none == plain


def test_what_asks_for_nothing_changes_nothing(encoder: TorchEncoder) -> None:
    made = reader()
    with torch.no_grad():
        for each in made.readers:
            each.neither.bias.fill_(40.0)
            each.verdict.weight.zero_()
            each.verdict.bias.copy_(torch.tensor([0.0, 40.0, 0.0]))
    checkpoint = RerankerCheckpoint(signs=made, encoder=encoder.fingerprint, fusion=FusionWeights())
    mine = InstructionReranker(checkpoint, encoder, "mine")
    sight = np.random.default_rng(0).normal(size=(5, 48)).astype(np.float32)
    assert mine.score([("red", "blue")], [sight]) == pytest.approx(0.0, abs=1e-6)


def test_an_instruction_that_is_too_long_is_told(encoder: TorchEncoder) -> None:
    assert reranker(encoder).cuts("red " * 20)
    assert not reranker(encoder).cuts("no red")


def test_another_encoder_is_refused(encoder: TorchEncoder, tmp_path: Path) -> None:
    other = TorchEncoder(tiny_model(tmp_path / "other", seed=1), "cpu")
    checkpoint = RerankerCheckpoint(
        signs=reader(), encoder=encoder.fingerprint + "x", fusion=FusionWeights()
    )
    with pytest.raises(ModelUnavailable, match="reads with the model"):
        InstructionReranker(checkpoint, other, "mine")


def test_a_reranker_comes_back_from_disk(tmp_path: Path) -> None:
    fusion = FusionWeights(text_to_image=0.01, image_to_text=0.02, instructed=0.03)
    made = RerankerCheckpoint(signs=reader(), encoder="e", fusion=fusion)
    save_reranker(made, tmp_path, {"run": 1})
    back = load_reranker_checkpoint(tmp_path)
    assert (back.fusion, back.encoder, back.signs.config) == (fusion, "e", SHAPE)
    assert back.spotter.words == ()
    for name, kept in reader().state_dict().items():
        found = torch.from_numpy(back.signs.weights()[name])
        torch.testing.assert_close(found, kept, atol=0.02, rtol=0.01)
    assert json.loads((tmp_path / "train.json").read_text()) == {"run": 1}


def test_of_a_reranker_with_a_network_the_signs_are_read(tmp_path: Path) -> None:
    fusion = FusionWeights(instructed=0.03)
    save_reranker(RerankerCheckpoint(signs=reader(), encoder="e", fusion=fusion), tmp_path)
    config = json.loads((tmp_path / CONFIG).read_text())
    shape = config.pop("signs")
    network = {
        "image_tokens": 5, "image_width": 48, "text_width": 32, "width": 256, "heads": 4,
        "image_layers": 1, "text_layers": 1, "layers": 3, "expand": 2,
        "sign_width": shape["width"], "sign_depth": shape["depth"], "sign_readers": 2,
    }  # fmt: skip
    old = {**config, "format": 2, "network": network, "share": 0.5}
    (tmp_path / CONFIG).write_text(json.dumps(old))
    weights = load_file(tmp_path / WEIGHTS)
    save_file({**weights, "from_image.weight": torch.ones(256, 48)}, tmp_path / WEIGHTS)
    back = load_reranker_checkpoint(tmp_path)
    assert (back.signs.config, back.fusion) == (SHAPE, fusion)
    save_reranker(back, tmp_path / "anew")
    assert json.loads((tmp_path / "anew" / CONFIG).read_text())["format"] == 3
    again = load_file(tmp_path / "anew" / WEIGHTS)
    assert set(again) == set(weights)
    assert all(torch.equal(again[name], weight) for name, weight in weights.items())


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        (CONFIG, None, f"it has no {CONFIG}"),
        (CONFIG, "{", "cannot be read"),
        (CONFIG, "[]", "does not describe a reranker"),
        (CONFIG, '{"format": 99}', "upgrade twinlens"),
        (CONFIG, '{"format": 1}', "learn them anew: `twinlens train-reranker --signs-only"),
        (CONFIG, '{"format": 2}', "damaged or of another kind"),
        (CONFIG, '{"format": 3}', "damaged or of another kind"),
        (WEIGHTS, None, f"lacks {WEIGHTS}"),
        (WEIGHTS, "junk", "damaged or of another kind"),
    ],
)
def test_damage_is_named(tmp_path: Path, name: str, text: str | None, message: str) -> None:
    save_reranker(RerankerCheckpoint(signs=reader(), encoder="e", fusion=FusionWeights()), tmp_path)
    (tmp_path / name).unlink()
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(ModelUnavailable, match=message):
        load_reranker_checkpoint(tmp_path)
