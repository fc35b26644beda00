"""Graphs made from weights alone, against torch's towers of the same weights."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data as samples

from retrieval import load_encoder, quick_encoder
from retrieval.errors import ModelUnavailable
from retrieval.models.checkpoint import load_checkpoint
from retrieval.models.dual_encoder import DualEncoderConfig
from retrieval.models.model_folder import BUILTIN, WEIGHTS, describe, folder_of
from retrieval.models.numpy_layers import unit
from retrieval.models.reference_vectors import generic_captions
from retrieval.models.stored_weights import StoredWeights
from retrieval.runtime import builtin_parts, graph
from retrieval.runtime.graph_cache import Tower, engine_folder
from retrieval.runtime.graph_encoder import EngineEncoder
from tests.fakes import COLOURS, draw
from tests.tiny import CODED, CONFIG, tiny_model

PHOTOS = ("astronaut", "brick", "cat", "chelsea", "coffee", "grass", "gravel", "rocket")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TWINLENS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def photos(size: int = 160) -> list[Image.Image]:
    """Crops of real photos, 28 or so: no two alike, and some of one thing."""
    whole = [Image.fromarray(getattr(samples, name)()).convert("RGB") for name in PHOTOS]
    return [
        photo.crop((left, top, left + size, top + size))
        for photo in whole
        for left in range(0, photo.width - size, 2 * size)
        for top in range(0, photo.height - size, 2 * size)
    ]


@pytest.mark.parametrize("config", [CONFIG, CODED])
def test_both_shapes_of_the_architecture(tmp_path: Path, config: DualEncoderConfig) -> None:
    tiny_model(tmp_path / "model", config=config)
    for number, (first, second) in enumerate(pairwise(COLOURS)):
        draw(tmp_path / f"{number}.png", first, second, size=(32, 32))
    drawn = [Image.open(path).convert("RGB") for path in sorted(tmp_path.glob("*.png"))]
    texts = ["a photo of red", "blue beside green", "red", "stripe and the"]
    quick, torchs = (make(str(tmp_path / "model"), "cpu") for make in (quick_encoder, load_encoder))
    for ours, theirs in (
        (quick.encode_images(drawn), torchs.encode_images(drawn)),
        (quick.encode_texts(texts), torchs.encode_texts(texts)),
    ):
        assert (ours * theirs).sum(axis=1).min() > 0.999


def test_the_ten_best_are_those_of_torch() -> None:
    quick, torchs = quick_encoder("builtin", "cpu"), load_encoder("builtin", "cpu")
    queries, seen = generic_captions()[:100], photos()
    ours = quick.encode_texts(queries) @ quick.encode_images(seen).T
    theirs = torchs.encode_texts(queries) @ torchs.encode_images(seen).T
    best = np.sort(theirs, axis=1)[:, ::-1]
    apart = best[:, 9] - best[:, 10] > 4e-3  # no tie for the tenth place
    assert apart.sum() > 20
    for mine, torch_ in zip(ours[apart], theirs[apart], strict=True):
        assert set(mine.argsort()[-10:]) == set(torch_.argsort()[-10:])


def test_weights_in_bytes_say_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(builtin_parts, "bytes_pay", lambda *, many: True)  # noqa: ARG005
    for module in (graph, builtin_parts):
        monkeypatch.setattr(module, "precision", lambda *, many: "f32")  # noqa: ARG005
    quick = quick_encoder("builtin", "cpu")
    want = load_encoder("builtin", "cpu").encode_images(photos())
    assert (quick.encode_images(photos()) * want).sum(axis=1).min() > 0.999
    folder = engine_folder(quick.fingerprint)
    whole = folder_of(BUILTIN)
    assert whole is not None
    in_bytes = folder.graph(Tower.IMAGES).with_suffix(".bin").stat().st_size
    said = describe(whole)
    monkeypatch.setattr(builtin_parts, "bytes_pay", lambda *, many: False)  # noqa: ARG005
    builtin_parts.make_part(whole, said, folder, Tower.IMAGES)
    assert in_bytes < 0.6 * folder.graph(Tower.IMAGES).with_suffix(".bin").stat().st_size


def test_weights_are_those_that_torch_reads() -> None:
    folder = folder_of(BUILTIN)
    assert folder is not None
    want = load_checkpoint(folder).module.state_dict()
    with StoredWeights(folder / WEIGHTS) as stored:
        assert set(stored) == set(want)
        for name, weight in stored.items():
            np.testing.assert_array_equal(weight, want[name].numpy())
        rows = np.array([[5, 2], [2, 30521]])
        words = want["text.embed.weight"].numpy()
        np.testing.assert_array_equal(stored.rows("text.embed.weight", rows), words[rows])


@pytest.mark.parametrize("damage", ["cut", "lacking", "none"])
def test_broken_weights_are_refused(tmp_path: Path, damage: str) -> None:
    folder = tmp_path / "model"
    tiny_model(folder)
    if damage == "cut":
        (folder / WEIGHTS).write_bytes((folder / WEIGHTS).read_bytes()[:1000])
    elif damage == "lacking":
        tiny_model(tmp_path / "other", config=CODED)
        config = (tmp_path / "other" / "config.json").read_text(encoding="utf-8")
        (folder / "config.json").write_text(config, encoding="utf-8")
    else:
        (folder / "tokenizer.json").unlink()
    with pytest.raises(ModelUnavailable, match=r"damaged or of another kind|lacks tokenizer"):
        quick_encoder(str(folder), "cpu").encode_texts(["red"])


def test_nothing_half_made_is_left(cache: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    tiny_model(folder)
    quick_encoder(str(folder), "cpu").encode_texts(["red"])
    (kept,) = (path for path in cache.glob("engines-*/*") if path.is_dir())
    assert {path.name for path in kept.iterdir()} == {"texts.xml", "texts.bin", "compiled"}


def test_the_text_tower_learns_by_torchs_gradient() -> None:
    quick, torchs = quick_encoder("builtin", "cpu"), load_encoder("builtin", "cpu")
    assert isinstance(quick, EngineEncoder)
    ours, theirs = quick.prompt_tower(), torchs.prompt_tower()
    words = theirs.word_vectors("golden retriever")
    np.testing.assert_array_equal(ours.word_vectors("golden retriever"), words)
    assert ours.word_vectors("word " * 70).shape == (0, words.shape[1])
    rng = np.random.default_rng(0)
    table = words + rng.normal(scale=0.1, size=words.shape).astype(np.float32)
    targets = unit(rng.normal(size=(3, 256)).astype(np.float32))
    phrases = [
        ("a photo of a", range(2), "on grass"),
        (range(1, 2), range(1)),  # the other way round
        ("see", range(3), "in a much longer sentence than the other two are"),
    ]
    (loss, slope), (want, wanted) = (tower.fit(phrases, table, targets) for tower in (ours, theirs))
    assert loss == pytest.approx(want, abs=1e-5)
    np.testing.assert_allclose(slope, wanted, atol=1e-4 * np.abs(wanted).max())
