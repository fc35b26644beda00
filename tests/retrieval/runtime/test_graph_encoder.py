"""An engine against torch: the same vectors, the same order, the same words."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import open_clip
import pytest
from open_clip.tokenizer import default_bpe
from PIL import Image
from skimage import data as samples

from indexer.core.encoder import FixedInputEncoder
from indexer.core.types import Kind
from retrieval import Encoder, load_encoder, quick_encoder
from retrieval.models.clip_tokenizer import ClipTokenizer, write_clip_words
from retrieval.models.reference_vectors import generic_captions
from retrieval.runtime.graph import is_slow_in_bfloat16
from retrieval.runtime.graph_cache import GraphCache, Tower, engine_folder
from retrieval.runtime.graph_encoder import EngineEncoder
from tests.tiny_clip import TINY_CLIP, tiny_clip

SMALL = TINY_CLIP

TEXTS = ["a cat", "two people on a beach at sunset.", "", "Grüße, it's 2019!", "dog " * 100]


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_clip(tmp_path_factory.mktemp("weights"))


@pytest.fixture(scope="module")
def photos() -> list[Image.Image]:
    """Five photos, four times: more than a batch."""
    names = ("astronaut", "chelsea", "coffee", "rocket", "brick")
    return [Image.fromarray(getattr(samples, name)()).convert("RGB") for name in names] * 4


@pytest.fixture(scope="module", params=["builtin", SMALL])
def spec(request: pytest.FixtureRequest, weights: Path) -> str:
    return request.param if request.param == "builtin" else f"{SMALL}/{weights}"


def cosines(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    return (ours * theirs).sum(axis=1)


def test_vectors_are_those_of_torch(spec: str, photos: list[Image.Image]) -> None:
    quick, torchs = quick_encoder(spec, "cpu"), load_encoder(spec, "cpu")
    assert isinstance(quick, EngineEncoder)
    assert (quick.name, quick.fingerprint, quick.dim) == (
        torchs.name,
        torchs.fingerprint,
        torchs.dim,
    )
    assert (quick.image_size, quick.hubness) == (torchs.image_size, torchs.hubness)
    want = np.tile(torchs.encode_images(photos[:5]), (4, 1))
    assert cosines(quick.encode_images(photos), want).min() > 0.999
    assert cosines(quick.encode_texts(TEXTS), torchs.encode_texts(TEXTS)).min() > 0.999
    assert quick.encode_images([]).shape == quick.encode_texts([]).shape == (0, quick.dim)
    for part in Tower:
        assert not engine_folder(quick.fingerprint).refusal(part).exists()


def test_phrases_with_slots_have_the_vectors_of_torch(spec: str) -> None:
    quick, torchs = quick_encoder(spec, "cpu"), load_encoder(spec, "cpu")
    words = torchs.prompt_tower().word_vectors("red dog")
    table = np.concatenate([words, words[::-1] * 1.5])
    phrases = [("a photo of", range(2, 4), "on a beach"), (range(1),), ("a cat",)]
    assert isinstance(quick, EngineEncoder)
    got, want = (each.encode_phrases(phrases, table) for each in (quick, torchs))
    assert cosines(got, want).min() > 0.999
    assert quick.encode_phrases([], table).shape == (0, quick.dim)


def test_photos_are_ranked_as_by_torch(spec: str, photos: list[Image.Image]) -> None:
    quick, torchs = quick_encoder(spec, "cpu"), load_encoder(spec, "cpu")
    queries = generic_captions()[:20]
    ours = quick.encode_texts(queries) @ quick.encode_images(photos[:5]).T
    theirs = torchs.encode_texts(queries) @ torchs.encode_images(photos[:5]).T
    far = np.diff(np.sort(theirs, axis=1), axis=1).min(axis=1) > 4e-3  # no ties to break
    assert far.any()
    assert (ours.argsort(axis=1) == theirs.argsort(axis=1))[far].all()


def test_a_vector_depends_on_its_own_input_alone(spec: str, photos: list[Image.Image]) -> None:
    quick = quick_encoder(spec, "cpu")
    alone = np.concatenate([quick.encode_images([photo]) for photo in photos[:5]])
    assert cosines(alone, quick.encode_images(photos)[:5]).min() > 0.9995
    singly = np.concatenate([quick.encode_texts([text]) for text in TEXTS])
    assert cosines(singly, quick.encode_texts(TEXTS)).min() > 0.9995


def test_photos_that_are_cut_already_have_the_same_vectors(
    spec: str, photos: list[Image.Image]
) -> None:
    for encoder in (quick_encoder(spec, "cpu"), load_encoder(spec, "cpu")):
        assert isinstance(encoder, FixedInputEncoder)
        cut = [encoder.square.cut(photo) for photo in photos[:5]]
        np.testing.assert_array_equal(encoder.encode_images(cut), encoder.encode_images(photos[:5]))


@pytest.mark.parametrize(
    ("about", "slow"),
    [
        ("vendor_id: GenuineIntel\nflags: avx512_bf16 amx_tile amx_bf16", False),
        ("vendor_id: GenuineIntel\nflags: avx512_bf16 avx512_fp16", True),
        ("vendor_id: AuthenticAMD\nflags: avx512_bf16", False),
        ("", False),
    ],
)
def test_cpus_that_are_slow_in_bfloat16_are_known(about: str, slow: bool) -> None:
    assert is_slow_in_bfloat16(about) == slow


def test_image_tokens_are_those_of_torch(photos: list[Image.Image]) -> None:
    quick, torchs = quick_encoder("builtin", "cpu"), load_encoder("builtin", "cpu")
    assert isinstance(quick, EngineEncoder)
    assert quick.token_shape == torchs.token_shape
    (vectors, tokens), (_, want) = (
        quick.encode_with_tokens(photos),
        torchs.encode_with_tokens(photos[:5]),
    )
    np.testing.assert_array_equal(vectors, quick.encode_images(photos))
    rows, wanted = tokens.reshape(len(photos), -1), np.tile(want.reshape(5, -1), (4, 1))
    norms = np.linalg.norm(rows, axis=1) * np.linalg.norm(wanted, axis=1)
    assert (cosines(rows, wanted) / norms).min() > 0.999


def test_banks_are_those_of_the_model(cache: Path) -> None:
    quick, torchs = quick_encoder("builtin", "cpu"), load_encoder("builtin", "cpu")
    for kind in Kind:
        np.testing.assert_array_equal(quick.bank(kind), torchs.bank(kind))
    assert not list(cache.rglob("*.xml"))  # no tower was needed for them


def test_clip_words_are_cut_as_open_clip_cuts_them(tmp_path: Path) -> None:
    write_clip_words(Path(default_bpe()), tmp_path / "pairs.npy")
    texts = [
        *generic_captions()[:1000],
        *TEXTS,
        "“quoted”… &amp;amp; &lt;b&gt; I'VE a_b-c_d ½ ² 日本語 😀👩‍👧 İstanbul ΑΒΓΣ σας\u00a0x",
    ]
    ours = ClipTokenizer(tmp_path / "pairs.npy", 77).ids(texts)
    theirs = open_clip.get_tokenizer("ViT-B-32")(texts).numpy()
    np.testing.assert_array_equal(np.pad(ours, ((0, 0), (0, 77 - ours.shape[1]))), theirs)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("TWINLENS_CACHE", str(tmp_path))
    return tmp_path


def test_towers_that_rest_are_opened_again(spec: str) -> None:
    few, many = quick_encoder(spec, "cpu", few=True), quick_encoder(spec, "cpu")
    for encoder, is_open in ((few, False), (many, True)):
        assert isinstance(encoder, EngineEncoder)
        before = encoder.encode_texts(TEXTS)
        encoder.rest()
        assert ("_texts" in vars(encoder)) == is_open
        np.testing.assert_array_equal(encoder.encode_texts(TEXTS), before)


def test_a_broken_part_is_made_anew(cache: Path, weights: Path) -> None:
    spec = f"{SMALL}/{weights}"
    want = quick_encoder(spec, "cpu").encode_texts(TEXTS)
    folder = GraphCache(next(path for path in cache.glob("engines-*/*") if path.is_dir()))
    folder.graph(Tower.TEXTS).write_text("<net")
    told: list[str] = []
    again = quick_encoder(spec, "cpu", note=told.append).encode_texts(TEXTS)
    np.testing.assert_allclose(again, want, atol=1e-6)
    assert [line.split(" of ")[0] for line in told] == ["preparing the text model"]


def test_a_part_that_was_refused_stays_with_torch(
    cache: Path, weights: Path, photos: list[Image.Image]
) -> None:
    spec = f"{SMALL}/{weights}"
    quick = quick_encoder(spec, "cpu")
    folder = engine_folder(quick.fingerprint)
    folder.refusal(Tower.IMAGES).write_text("a reason\n")
    np.testing.assert_array_equal(
        quick.encode_images(photos), load_encoder(spec, "cpu").encode_images(photos)
    )
    assert not folder.graph(Tower.IMAGES).exists()


def test_other_weights_at_the_same_place_are_noticed(cache: Path, tmp_path: Path) -> None:
    prints = set()
    for seed in (1, 2):
        file = tiny_clip(tmp_path, seed)
        prints.add(quick_encoder(f"{SMALL}/{file}", "cpu").fingerprint)
        again = quick_encoder(f"{SMALL}/{file}", "cpu")
        assert again.fingerprint in prints
    assert len(prints) == 2


@pytest.fixture
def closed_cache(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (cache / "file").write_text("")
    monkeypatch.setenv("TWINLENS_CACHE", str(cache / "file"))


@pytest.mark.usefixtures("closed_cache")
def test_where_nothing_can_be_kept_the_builtin_towers_are_made_for_once(
    photos: list[Image.Image],
) -> None:
    told: list[str] = []
    quick: Encoder = quick_encoder("builtin", "cpu", note=told.append)
    torchs = load_encoder("builtin", "cpu")
    assert cosines(quick.encode_texts(TEXTS), torchs.encode_texts(TEXTS)).min() > 0.999
    assert cosines(quick.encode_images(photos), torchs.encode_images(photos)).min() > 0.999
    kept = [line for line in told if line.startswith("cannot store the ")]
    assert [line.split(":")[0] for line in kept] == [
        "cannot store the text model",
        "cannot store the image model",
    ]
    assert all(line.endswith("; it is made anew each time") for line in kept)


@pytest.mark.usefixtures("closed_cache")
def test_where_nothing_can_be_kept_torch_serves_other_models(weights: Path) -> None:
    spec, told = f"{SMALL}/{weights}", list[str]()
    quick: Encoder = quick_encoder(spec, "cpu", note=told.append)
    want = load_encoder(spec, "cpu").encode_texts(TEXTS)
    np.testing.assert_array_equal(quick.encode_texts(TEXTS), want)
    assert any(line.startswith("cannot store the text model of ") for line in told)


SILENT = """
import json, os, sys
events = []
sys.addaudithook(lambda name, args: events.append(name) if name.startswith("socket.") else None)
from retrieval import quick_encoder
quick_encoder("builtin", "cpu").encode_texts(["a cat"])
import openvino
files = [os.path.join(at, name) for at, _, names in os.walk(os.environ["HOME"]) for name in names]
print(json.dumps([events, files, "torch" in sys.modules]))
"""


def test_nothing_is_sent_nor_left_in_the_home_folder(tmp_path: Path) -> None:
    quick_encoder("builtin", "cpu").encode_texts(["a cat"])
    (tmp_path / "home").mkdir()
    run = subprocess.run(
        [sys.executable, "-c", SILENT],
        env=os.environ | {"HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(run.stdout) == [[], [], False]
