"""The tower for other languages: its numbers, its file, and what it finds."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file
from torch.nn import functional as F

from retrieval._resources import resource
from retrieval.errors import ModelUnavailable
from retrieval.models import load_encoder
from retrieval.models.language_tower import LANGUAGES, LanguageTower, language_tower
from retrieval.models.stored_weights import StoredWeights
from retrieval.runtime.select_encoder import quick_encoder

MODEL = resource("model")
TEXTS = ["ein schwarzer Hund rennt am Strand", "一只狗", "вівця", "un", "🚲", "a dog and a cat"]


@pytest.fixture(scope="module")
def fingerprint() -> str:
    return quick_encoder("builtin", "cpu").fingerprint


@pytest.fixture(scope="module")
def tower(fingerprint: str) -> LanguageTower:
    return LanguageTower(MODEL, fingerprint)


def in_torch(ids: np.ndarray) -> np.ndarray:
    """Embed the pieces of one text with torch's own layers. (n) → (dim)."""
    stored = StoredWeights(MODEL / LANGUAGES)
    names = [name for name in stored if name not in ("pieces", "scores")]
    w = {name: torch.from_numpy(stored[name]) for name in names if "router" not in name}
    width = len(w["before"])
    x = F.layer_norm(w["embed.weight"][ids], (width,), w["norm.weight"], w["norm.bias"])
    ends = torch.zeros(1, width)
    x = x + w["before"] * torch.cat([ends, x[:-1]]) + w["after"] * torch.cat([x[1:], ends])
    gate = torch.sigmoid(F.linear(x, w["gate.weight"], w["gate.bias"]))
    both = torch.cat([(gate * x).sum(0) / gate.sum().clamp(min=1e-3), x.amax(0)])
    pooled = F.layer_norm(both, (2 * width,), w["pool.weight"], w["pool.bias"])
    hidden = F.gelu(F.linear(pooled, w["fc1.weight"], w["fc1.bias"]))
    out = F.linear(pooled, w["linear.weight"], w["linear.bias"])
    return F.normalize(out + F.linear(hidden, w["fc2.weight"], w["fc2.bias"]), dim=0).numpy()


def test_it_computes_what_torch_computes(tower: LanguageTower) -> None:
    want = np.stack([in_torch(row[row != 0]) for row in tower.ids(TEXTS)])
    np.testing.assert_allclose(tower.encode(TEXTS), want, atol=2e-6)


def test_what_stands_beside_a_text_changes_nothing(tower: LanguageTower) -> None:
    alone = np.concatenate([tower.encode([text]) for text in TEXTS])
    np.testing.assert_allclose(tower.encode(TEXTS), alone, atol=2e-6)
    assert tower.encode(TEXTS * 60).shape == (360, 256)


def test_both_encoders_read_each_text_with_the_tower_of_its_language(tower: LanguageTower) -> None:
    quick, towers = quick_encoder("builtin", "cpu"), load_encoder("builtin", "cpu")
    texts = ["a dog", "ein Hund", "a cat", "кіт"]
    english = towers.encode_texts(["a dog", "a cat"])
    for encoder in (quick, towers):
        vectors = encoder.encode_texts(texts)
        np.testing.assert_allclose(vectors[[1, 3]], tower.encode(["ein Hund", "кіт"]), atol=1e-7)
        np.testing.assert_allclose(vectors[[0, 2]], english, atol=0.02)
        assert [encoder.is_foreign(text) for text in texts] == [False, True, False, True]
        assert encoder.other_languages == tower.languages
        assert encoder.encode_texts([]).shape == (0, 256)


def test_a_translation_lies_nearest_to_its_own_english_words(tower: LanguageTower) -> None:
    english = ["a black dog on the beach", "a child in a swimming pool", "a man on a bicycle",
               "two horses in a field", "snow on a mountain"]  # fmt: skip
    translated = [
        ["ein schwarzer Hund am Strand", "un chien noir sur la plage", "一只黑狗在海滩上",
         "كلب أسود على الشاطئ", "समुद्र तट पर एक काला कुत्ता", "чорний собака на пляжі"],
        ["ein Kind im Schwimmbecken", "un niño en una piscina", "一个孩子在游泳池里",
         "طفل في مسبح", "dítě v bazénu", "un bambino in piscina"],
        ["ein Mann auf einem Fahrrad", "um homem em uma bicicleta", "一个男人骑自行车",
         "muž na kole", "чоловік на велосипеді", "een man op een fiets"],
        ["zwei Pferde auf einem Feld", "deux chevaux dans un champ", "dois cavalos em um campo",
         "dva koně na poli", "due cavalli in un campo"],
        ["Schnee auf einem Berg", "neige sur une montagne", "nieve en una montaña",
         "山上的雪", "ثلج على جبل", "sníh na hoře"],
    ]  # fmt: skip
    want = quick_encoder("builtin", "cpu").encode_texts(english)
    texts = [text for each in translated for text in each]
    rows = [row for row, each in enumerate(translated) for _ in each]
    assert (tower.encode(texts) @ want.T).argmax(axis=1).tolist() == rows


def copied(to: Path) -> Path:
    shutil.copytree(MODEL, to / "model")
    return to / "model"


def test_a_model_without_the_file_reads_english_alone(tmp_path: Path) -> None:
    folder = copied(tmp_path)
    (folder / LANGUAGES).unlink()
    encoder = quick_encoder(str(folder), "cpu")
    assert not encoder.is_foreign("собака")
    assert encoder.other_languages == ()
    assert language_tower(folder, encoder.fingerprint) is None
    assert language_tower(None, encoder.fingerprint) is None


def test_a_damaged_file_is_refused_by_its_name(tmp_path: Path, fingerprint: str) -> None:
    folder = copied(tmp_path)
    whole = (folder / LANGUAGES).read_bytes()
    (folder / LANGUAGES).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ModelUnavailable, match=r"languages\.safetensors' is damaged"):
        LanguageTower(folder, fingerprint)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"format": "2"}, "has format 2, this twinlens reads up to 1"),
        ({"fingerprint": "0" * 32}, "was made for other weights"),
        ({"format": "x"}, "is damaged or of another kind"),
    ],
)
def test_a_file_of_another_model_or_format_is_refused(
    tmp_path: Path, fingerprint: str, changed: dict[str, str], said: str
) -> None:
    about = {"format": "1", "fingerprint": fingerprint, "languages": "de", "context": "48"}
    save_file({"pieces": np.zeros(1, np.uint8)}, tmp_path / LANGUAGES, metadata=about | changed)
    with pytest.raises(ModelUnavailable, match=said):
        LanguageTower(tmp_path, fingerprint)


def test_a_file_that_lacks_a_part_is_refused(tmp_path: Path, fingerprint: str) -> None:
    arrays = load_file(MODEL / LANGUAGES)
    del arrays["router.odds"]
    about = {"format": "1", "fingerprint": fingerprint, "languages": "de", "context": "48"}
    save_file(arrays, tmp_path / LANGUAGES, metadata=about)
    with pytest.raises(ModelUnavailable, match=r"router\.odds"):
        LanguageTower(tmp_path, fingerprint)
