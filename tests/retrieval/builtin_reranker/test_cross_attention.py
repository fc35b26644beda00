"""The network, the texts it reads, and how it is kept on disk."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from retrieval.builtin_reranker.cross_attention import NetworkConfig, RerankerNetwork
from retrieval.builtin_reranker.instruction_reranker import SPREAD, TokenReranker
from retrieval.builtin_reranker.reranker_checkpoint import (
    CONFIG,
    WEIGHTS,
    Checkpoint,
    load_reranker_checkpoint,
    save_reranker,
)
from retrieval.builtin_reranker.style_detectors import Looks
from retrieval.builtin_reranker.text_features import TextReader
from retrieval.errors import ModelUnavailable
from retrieval.models import TorchEncoder
from retrieval.reranking import Fusion
from tests.fakes import draw
from tests.retrieval.builtin_reranker.test_word_detectors import spotter
from tests.tiny import tiny_model

SHAPE = NetworkConfig(image_tokens=5, image_width=48, text_width=32, width=32, heads=4, layers=2)


@pytest.fixture
def encoder(tmp_path: Path) -> TorchEncoder:
    return TorchEncoder(tiny_model(tmp_path / "tiny"), "cpu")


def network(seed: int = 0) -> RerankerNetwork:
    torch.manual_seed(seed)
    return RerankerNetwork(SHAPE).eval()


def forbid(made: RerankerNetwork) -> None:
    """Let each word turn the sign, and forbid as a whole: of a single word, it is -1."""
    for reader in made.sign.readers:
        reader.turn.weight.zero_()
        reader.turn.bias.fill_(20.0)
        reader.neither.weight.zero_()
        reader.neither.bias.fill_(-20.0)
        reader.verdict.weight.zero_()
        reader.verdict.bias.copy_(torch.tensor([20.0, 0.0, 0.0]))


def reranker(encoder: TorchEncoder) -> TokenReranker:
    checkpoint = Checkpoint(
        network=network(),
        encoder=encoder.fingerprint,
        fusion=Fusion(),
        spotter=spotter(words=("blue", "red")),
    )
    return TokenReranker(checkpoint, encoder, "mine")


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


def test_queries_come_first_then_instructions_and_padding_changes_nothing(
    encoder: TorchEncoder,
) -> None:
    tokens = TextReader(encoder, 1).read(["red", "a red photo"], ["the blue"])
    assert tokens.part.tolist() == [0, 0, 1]
    assert tokens.seen.tolist() == [[True, False, False], [True] * 3, [True, True, False]]
    alone = TextReader(encoder, 1).read(["the blue"])
    torch.testing.assert_close(tokens.states[2, :2], alone.states[0], atol=2e-3, rtol=0)


def test_an_instruction_is_scored_like_a_query_times_a_sign(encoder: TorchEncoder) -> None:
    made = network()
    with torch.no_grad():
        made.part.zero_()  # else a query and an instruction are read a little differently
        forbid(made)
    checkpoint = Checkpoint(
        network=made,
        encoder=encoder.fingerprint,
        fusion=Fusion(),
        spotter=spotter(words=("blue", "red")),
        share=0.5,
    )
    mine = TokenReranker(checkpoint, encoder, "mine")
    sight = np.random.default_rng(0).normal(size=(5, 48)).astype(np.float32)
    red, both = mine.score([("red", ""), ("red", "blue")], [sight] * 2)
    tokens = TextReader(encoder, 1).read(["blue"])
    none = torch.zeros(1, dtype=torch.long)
    with torch.no_grad():
        words, sights = made.words(*tokens), made.sights(torch.from_numpy(sight[None]))
        network_says = made.score(words, sights, none, none).item()
    ((spotted_red,),) = checkpoint.spotter.score(["red"], sight[None])
    ((blue,),) = checkpoint.spotter.odds(["blue"], sight[None])
    alike = float(encoder.encode_texts(["blue"])[0] @ encoder.embed_tokens(sight[None])[0])
    assert red == pytest.approx(spotted_red)
    assert both == pytest.approx(red - blue - alike / SPREAD - 0.5 * network_says, abs=1e-3)


def test_a_wish_about_a_look_is_told_by_that_alone(encoder: TorchEncoder) -> None:
    made = network()
    with torch.no_grad():
        forbid(made)
    looks = Looks(
        names=(("blue",),),
        weights=np.random.default_rng(1).normal(size=(1, 4 * 48)).astype(np.float32),
        bias=np.ones(1, dtype=np.float32),
    )
    checkpoint = Checkpoint(
        network=made, encoder=encoder.fingerprint, fusion=Fusion(), spotter=spotter(), looks=looks
    )
    mine = TokenReranker(checkpoint, encoder, "mine")
    sight = np.random.default_rng(0).normal(size=(5, 48)).astype(np.float32)
    red, both = mine.score([("red", ""), ("red", "blue")], [sight] * 2)
    assert both == pytest.approx(red - looks.odds([0], sight[None])[0, 0], rel=1e-5)


def test_words_turn_the_sign_one_after_the_other(encoder: TorchEncoder) -> None:
    made = network()
    with torch.no_grad():
        forbid(made)
    checkpoint = Checkpoint(network=made, encoder=encoder.fingerprint, fusion=Fusion())
    signs = TokenReranker(checkpoint, encoder, "mine").signs(["red", "a red", "a red photo"])
    assert signs == pytest.approx([-1.0, 0.0, -1.0], abs=1e-6)  # as a whole, all are -1


def test_wishes_of_one_instruction_are_added_up(encoder: TorchEncoder) -> None:
    mine = reranker(encoder)
    sight = np.random.default_rng(0).normal(size=(5, 48)).astype(np.float32)
    asked = [("a", ""), ("a", "blue but no red"), ("a", "blue"), ("a", "no red"), ("a", ".")]
    plain, both, one, other, none = mine.score(asked, [sight] * 5)
    assert both - plain == pytest.approx((one - plain) + (other - plain), abs=1e-4)
    assert none == plain


def test_what_asks_for_nothing_changes_nothing(encoder: TorchEncoder) -> None:
    made = network()
    with torch.no_grad():
        for reader in made.sign.readers:
            reader.neither.bias.fill_(40.0)
            reader.verdict.weight.zero_()
            reader.verdict.bias.copy_(torch.tensor([0.0, 40.0, 0.0]))
    checkpoint = Checkpoint(network=made, encoder=encoder.fingerprint, fusion=Fusion())
    mine = TokenReranker(checkpoint, encoder, "mine")
    sight = np.random.default_rng(0).normal(size=(5, 48)).astype(np.float32)
    assert mine.score([("red", "blue")], [sight]) == pytest.approx(0.0, abs=1e-6)


def test_couples_teach_the_sign_nothing(encoder: TorchEncoder) -> None:
    made = network()
    words = made.words(*TextReader(encoder, 1).read([], ["no blue"]))
    sights = made.sights(torch.randn(1, 5, 48))
    none = torch.zeros(1, dtype=torch.long)
    made.score(words, sights, none, none).sum().backward()
    assert made.from_text.weight.grad is not None
    assert all(weight.grad is None for weight in made.sign.parameters())


def test_texts_that_are_remembered_are_the_same(encoder: TorchEncoder) -> None:
    keeping, plain = TextReader(encoder, 1, keep=True), TextReader(encoder, 1)
    keeping.read(["red"], ["a photo"])
    kept, read = (each.read(["red beside blue"], ["a photo"]) for each in (keeping, plain))
    torch.testing.assert_close(kept.states, read.states, atol=2e-3, rtol=0)


def test_an_instruction_that_is_too_long_is_told(encoder: TorchEncoder) -> None:
    assert reranker(encoder).cuts("red " * 20)
    assert not reranker(encoder).cuts("no red")


def test_another_encoder_is_refused(encoder: TorchEncoder, tmp_path: Path) -> None:
    other = TorchEncoder(tiny_model(tmp_path / "other", seed=1), "cpu")
    checkpoint = Checkpoint(network=network(), encoder=encoder.fingerprint + "x", fusion=Fusion())
    with pytest.raises(ModelUnavailable, match="reads with the model"):
        TokenReranker(checkpoint, other, "mine")


def test_a_reranker_comes_back_from_disk(tmp_path: Path) -> None:
    fusion = Fusion(text_to_image=0.01, image_to_text=0.02, instructed=0.03)
    made = Checkpoint(network=network(), encoder="e", fusion=fusion, share=0.25)
    save_reranker(made, tmp_path, {"run": 1})
    back = load_reranker_checkpoint(tmp_path)
    assert (back.fusion, back.encoder, back.network.config) == (fusion, "e", SHAPE)
    assert (back.share, back.spotter.words) == (0.25, ())
    for name, kept in network().state_dict().items():
        found = back.network.state_dict()[name]
        torch.testing.assert_close(found, kept, atol=0.02, rtol=0.01)
    assert json.loads((tmp_path / "train.json").read_text()) == {"run": 1}


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        (CONFIG, None, f"it has no {CONFIG}"),
        (CONFIG, "{", "cannot be read"),
        (CONFIG, "[]", "does not describe a reranker"),
        (CONFIG, '{"format": 99}', "upgrade twinlens"),
        (CONFIG, '{"format": 1}', "learn them anew: `twinlens train-reranker --signs-only"),
        (CONFIG, '{"format": 2}', "damaged or of another kind"),
        (WEIGHTS, None, f"lacks {WEIGHTS}"),
        (WEIGHTS, "junk", "damaged or of another kind"),
    ],
)
def test_damage_is_named(tmp_path: Path, name: str, text: str | None, message: str) -> None:
    save_reranker(Checkpoint(network=network(), encoder="e", fusion=Fusion()), tmp_path)
    (tmp_path / name).unlink()
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(ModelUnavailable, match=message):
        load_reranker_checkpoint(tmp_path)
