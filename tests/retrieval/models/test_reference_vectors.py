"""The banks of a model: its own files, else our captions; of other weights, refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from indexer.core.types import Kind
from retrieval.errors import ModelUnavailable
from retrieval.models import TorchEncoder, load_encoder
from retrieval.models.reference_vectors import bank_file, generic_captions, save_bank
from tests.tiny import tiny_model


@pytest.fixture
def encoder(tmp_path: Path) -> TorchEncoder:
    tiny_model(tmp_path)
    return load_encoder(str(tmp_path), "cpu")


def test_the_captions_that_ship_are_many_and_no_two_alike() -> None:
    captions = generic_captions()
    assert len(captions) >= 100
    assert len(set(captions)) == len(captions)


def test_without_files_the_captions_are_embedded_and_photos_are_none(
    encoder: TorchEncoder,
) -> None:
    wanted = encoder.encode_texts(generic_captions())
    np.testing.assert_allclose(encoder.bank(Kind.TEXT), wanted, atol=1e-6)
    assert encoder.bank(Kind.PHOTO).shape == (0, 16)


@pytest.mark.parametrize("kind", Kind)
def test_a_file_in_the_folder_comes_first(
    encoder: TorchEncoder, tmp_path: Path, kind: Kind
) -> None:
    vectors = encoder.encode_texts(["red", "blue and green"])
    save_bank(bank_file(tmp_path, kind), vectors, fingerprint=encoder.fingerprint)
    assert encoder.bank(kind).tolist() == vectors.astype(np.float16).tolist()


def test_a_bank_of_other_weights_is_refused(encoder: TorchEncoder, tmp_path: Path) -> None:
    path = bank_file(tmp_path, Kind.PHOTO)
    save_bank(path, encoder.encode_texts(["red"]), fingerprint="0123456789abcdef")
    message = rf"{path} was made with other weights \(0123456789ab\) than .*; rebuild it with"
    with pytest.raises(ModelUnavailable, match=message):
        encoder.bank(Kind.PHOTO)


def test_a_bank_of_another_length_is_refused(encoder: TorchEncoder, tmp_path: Path) -> None:
    vectors = np.eye(3, dtype=np.float32)
    save_bank(bank_file(tmp_path, Kind.TEXT), vectors, fingerprint=encoder.fingerprint)
    with pytest.raises(ModelUnavailable, match="was made with other weights"):
        encoder.bank(Kind.TEXT)


@pytest.mark.parametrize("size", [0, 30, -1])
def test_a_truncated_bank_is_refused(encoder: TorchEncoder, tmp_path: Path, size: int) -> None:
    path = bank_file(tmp_path, Kind.PHOTO)
    save_bank(path, encoder.encode_texts(["red"]), fingerprint=encoder.fingerprint)
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(ModelUnavailable, match=rf"{path} is broken .*or delete it"):
        encoder.bank(Kind.PHOTO)
