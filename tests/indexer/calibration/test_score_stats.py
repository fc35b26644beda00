"""Moments against the full matrix of scores."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from indexer.calibration.reference_set import COHORTS, read_cohorts, write_cohorts
from indexer.calibration.score_stats import ScoreStats, measure
from indexer.catalog.meta import LibraryMeta
from indexer.core.types import Kind
from indexer.ingest.pipeline import index_folders
from indexer.library.library import Library
from tests.fakes import COLOURS, ColourEncoder, draw

GENERIC = [f"{one} {two}" for one in COLOURS for two in COLOURS] * 2


def unit(rng: np.random.Generator, rows: int, dim: int) -> np.ndarray:
    vectors = rng.normal(size=(rows, dim)) + 0.5
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize("alpha", [0.0, 0.25, 1.0])
def test_mean_and_spread_of_all_pairs(alpha: float) -> None:
    rng = np.random.default_rng(0)
    queries, vectors = unit(rng, 30, 8), unit(rng, 50, 8)
    hubs = rng.random((50, 1)).astype(np.float32)
    scores = queries @ vectors.T - alpha * hubs[:, 0]
    found = measure(queries, np.column_stack([vectors, hubs]), items=77)
    assert found.mean(alpha) == pytest.approx(scores.mean(), abs=1e-5)
    assert found.spread(alpha) == pytest.approx(scores.std(), abs=1e-5)
    assert ScoreStats.loads(found.dumps()) == found
    assert found.items == 77


def test_without_hubness_alpha_changes_nothing() -> None:
    rng = np.random.default_rng(1)
    queries, vectors = unit(rng, 5, 4), unit(rng, 6, 4)
    found = measure(queries, vectors, items=6)
    assert (found.mean(0.0), found.spread(0.0)) == (found.mean(0.5), found.spread(0.5))


@pytest.mark.parametrize(("items", "fits"), [(90, True), (110, True), (89, False), (111, False)])
def test_a_tenth_more_or_less_still_fits(items: int, fits: bool) -> None:
    rng = np.random.default_rng(2)
    assert measure(unit(rng, 3, 4), unit(rng, 3, 4), items=100).fits(items) is fits


def drawn(folder: Path, many: int) -> Path:
    """So many photos of two colours."""
    names = list(COLOURS)
    for number in range(many):
        one, two = names[number % 8], names[number * 3 % 7]
        draw(folder / f"{number}.png", one, two)
    return folder


def test_a_library_notes_them_and_measures_anew_once_it_has_grown(tmp_path: Path) -> None:
    encoder = ColourEncoder(generic={Kind.TEXT: GENERIC})
    with Library.create(tmp_path / "library", encoder) as library:
        index_folders(library, encoder, [drawn(tmp_path / "photos", 9)])
        assert library.normalizer.moments(Kind.TEXT, Kind.PHOTO) is None  # nine are too few
        index_folders(library, encoder, [drawn(tmp_path / "photos", 20)])
        first = library.normalizer.moments(Kind.TEXT, Kind.PHOTO)
        index_folders(library, encoder, [drawn(tmp_path / "photos", 22)])
        assert (
            library.normalizer.moments(Kind.TEXT, Kind.PHOTO) == first
        )  # a tenth more is no reason
        index_folders(library, encoder, [drawn(tmp_path / "photos", 23)])
        second = library.normalizer.moments(Kind.TEXT, Kind.PHOTO)
        vectors = library.sample(Kind.PHOTO, 100, seed=0)
    assert first is not None
    assert second is not None
    assert (first.items, second.items) == (20, 23)
    scores = encoder.encode_texts(GENERIC) @ vectors.T
    assert second.mean(0.0) == pytest.approx(scores.mean(), abs=1e-3)
    assert second.spread(0.0) == pytest.approx(scores.std(), abs=1e-3)


def test_without_a_bank_of_photos_its_own_stand_in(tmp_path: Path) -> None:
    encoder = ColourEncoder(generic={Kind.TEXT: GENERIC})
    with Library.create(tmp_path / "library", encoder) as library:
        index_folders(library, encoder, [drawn(tmp_path / "photos", 100)])
        found = library.normalizer.moments(Kind.PHOTO, Kind.PHOTO)
        vectors = library.sample(Kind.PHOTO, 100, seed=0)
    assert found is not None
    assert found.spread(0.0) == pytest.approx((vectors @ vectors.T).std(), abs=1e-3)


def without_banks(encoder: ColourEncoder, folder: Path) -> Library:
    """A library of twelve photos that has lost its banks."""
    with Library.create(folder / "library", encoder) as library:
        index_folders(library, encoder, [drawn(folder / "photos", 12)])
    (folder / "library" / LibraryMeta.banks).unlink()
    return Library.open(folder / "library")


def test_a_missing_bank_is_no_reason_to_fail(tmp_path: Path) -> None:
    encoder = ColourEncoder(generic={Kind.TEXT: GENERIC})
    with without_banks(encoder, tmp_path) as library:
        assert library.normalizer.moments(Kind.TEXT, Kind.PHOTO) is not None  # as noted
        library.catalog.note("moments_text_photo", "")
        assert library.normalizer.moments(Kind.TEXT, Kind.PHOTO) is None


def test_generic_items_are_scored_as_if_they_were_in_the_library(tmp_path: Path) -> None:
    encoder = ColourEncoder(generic={Kind.TEXT: GENERIC})
    with Library.create(tmp_path / "library", encoder) as library:
        red = encoder.encode_texts(["red"])
        scores = library.score_cohort(red, Kind.TEXT, alpha=0.0)
        assert len(library.score_cohort(red, Kind.PHOTO, alpha=0.0)) == 0  # there is no such bank
        assert not (library.folder / COHORTS).exists()  # no writer has been there
    cosines = encoder.encode_texts(GENERIC) @ red[0]
    assert set(scores.round(3)) == set(cosines.round(3))
    assert len(scores) <= len(GENERIC)


def test_generic_items_that_were_kept_are_scored_alike(tmp_path: Path) -> None:
    encoder = ColourEncoder(generic={Kind.TEXT: GENERIC})
    asked = encoder.encode_texts(["red"])
    with without_banks(encoder, tmp_path) as library:
        kept = library.score_cohort(asked, Kind.TEXT, alpha=0.5)
    with Library.create(tmp_path / "other", encoder) as library:
        assert library.score_cohort(asked, Kind.TEXT, alpha=0.5).tolist() == kept.tolist()
        assert len(kept) == len(GENERIC)


def test_generic_items_of_other_banks_are_computed_anew(tmp_path: Path) -> None:
    encoder = ColourEncoder(generic={Kind.TEXT: GENERIC})
    with Library.create(tmp_path / "library", encoder) as library:
        index_folders(library, encoder, [drawn(tmp_path / "photos", 12)])
        kept, banks = library.folder / COHORTS, library.view.facts().banks
    good = read_cohorts(kept, banks=banks, width=encoder.dim + 1)
    wrong = {Kind.TEXT: np.zeros_like(good[Kind.TEXT])}
    asked, scores = encoder.encode_texts(["red"]), []
    for write in (
        lambda: write_cohorts(kept, good, banks=banks),
        lambda: write_cohorts(kept, wrong, banks="banks-000007.safetensors"),
        lambda: kept.write_bytes(flipped(kept.read_bytes(), -1)),
        lambda: kept.write_bytes(b""),
        kept.unlink,
    ):
        write()
        with Library.open(tmp_path / "library") as library:
            scores.append(library.score_cohort(asked, Kind.TEXT, alpha=0.5).tolist())
    assert scores == [scores[0]] * 5
    with Library.open(tmp_path / "library") as library:
        library.refresh_index()
    again = read_cohorts(kept, banks=banks, width=encoder.dim + 1)
    assert again[Kind.TEXT].tolist() == good[Kind.TEXT].tolist()


def flipped(data: bytes, at: int) -> bytes:
    """Return bytes of which one differs."""
    return bytes([*data[:at], data[at] ^ 1, *data[at:][1:]])


def test_generic_items_of_a_missing_bank_are_none(tmp_path: Path) -> None:
    encoder = ColourEncoder(generic={Kind.TEXT: GENERIC})
    with without_banks(encoder, tmp_path) as library:
        (library.folder / COHORTS).unlink()
        asked = encoder.encode_texts(["red"])
        assert len(library.score_cohort(asked, Kind.TEXT, alpha=0.0)) == 0
        library.refresh_index()
        assert not (library.folder / COHORTS).exists()
