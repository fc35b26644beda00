"""open_clip's models behind our encoder: the same embeddings, and clear words when they lack."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from huggingface_hub import constants
from PIL import Image
from safetensors.torch import load_file, save_file

from retrieval.errors import ModelUnavailable
from retrieval.models import load_encoder, load_model, open_clip_models
from retrieval.models.checkpoint import load_checkpoint, save_checkpoint
from tests.tiny_clip import DIM, PIXELS, TINY_CLIP, tiny_clip


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights of a tiny architecture, in a file."""
    return tiny_clip(tmp_path_factory.mktemp("openclip"))


def photos() -> list[Image.Image]:
    rng = np.random.default_rng(0)
    sizes = [(300, 200), (200, 333), (224, 224)]
    return [Image.fromarray(rng.integers(0, 256, (h, w, 3), dtype=np.uint8)) for w, h in sizes]


@torch.no_grad()
def test_embeddings_equal_open_clips_own(weights: Path) -> None:
    encoder = load_encoder(f"{TINY_CLIP}/{weights}", "cpu")
    model, _, preprocess = open_clip.create_model_and_transforms(TINY_CLIP, pretrained=str(weights))
    model.eval()
    tokenizer = open_clip.get_tokenizer(TINY_CLIP)
    texts = ["a cat on a sofa", "two dogs", "a page of text"]

    pixels = torch.stack([preprocess(photo) for photo in photos()])
    theirs = [model.encode_image(pixels, normalize=True), model.encode_text(tokenizer(texts), True)]
    ours = [encoder.encode_images(photos()), encoder.encode_texts(texts)]
    for mine, their in zip(ours, theirs, strict=True):
        assert ((mine * their.numpy()).sum(axis=1) >= 0.9999).all()
    assert encoder.dim == DIM
    assert encoder.image_size == PIXELS


def test_a_fine_tuned_model_of_open_clip_comes_back_from_its_folder(
    weights: Path, tmp_path: Path
) -> None:
    model = load_model(f"{TINY_CLIP}/{weights}")
    save_checkpoint(model, tmp_path / "tuned")
    again = load_checkpoint(tmp_path / "tuned")
    assert again.image == model.image
    for name, tensor in again.module.state_dict().items():
        assert torch.equal(tensor, model.module.state_dict()[name].half().float()), name


def test_a_local_file_is_preprocessed_as_all_tags_of_its_architecture(
    weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = {"mean": (0.5, 0.5, 0.5), "std": (0.25,) * 3, "interpolation": "bilinear"}
    one, other = {**own, "resize_mode": "squash"}, {**own, "resize_mode": "shortest"}
    monkeypatch.setitem(open_clip.pretrained._PRETRAINED, TINY_CLIP, {"a": one, "b": one})
    image = load_model(f"{TINY_CLIP}/{weights}").image
    assert (image.mean, image.std) == ((0.5, 0.5, 0.5), (0.25, 0.25, 0.25))
    assert (image.interpolation, image.resize) == ("bilinear", "squash")

    monkeypatch.setitem(open_clip.pretrained._PRETRAINED, TINY_CLIP, {"a": one, "b": other})
    assert load_model(f"{TINY_CLIP}/{weights}").image.mean == open_clip.OPENAI_DATASET_MEAN


def test_an_unknown_architecture_names_near_ones() -> None:
    with pytest.raises(ModelUnavailable, match=r"no architecture 'ViT-B-99'.*ViT-B-16.*builtin"):
        load_model("ViT-B-99/laion2b")


def test_an_unknown_tag_names_the_known_ones() -> None:
    with pytest.raises(ModelUnavailable, match=r"no weights 'mine'; known tags: .*openai.*builtin"):
        load_model("ViT-B-32/mine")


def test_a_missing_file_is_named() -> None:
    with pytest.raises(ModelUnavailable, match=r"no weights at '/nowhere/w\.pt'.*builtin"):
        load_model("ViT-B-32//nowhere/w.pt")


def test_a_file_of_other_weights_is_refused(tmp_path: Path) -> None:
    save_file({"w": torch.zeros(3)}, tmp_path / "other.safetensors")
    with pytest.raises(ModelUnavailable, match=rf"does not hold weights of {TINY_CLIP}"):
        load_model(f"{TINY_CLIP}/{tmp_path / 'other.safetensors'}")


class Program:
    """A pickle of it makes a folder when it is read."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.folder),)


@pytest.mark.parametrize("wanted", ["0", "1"])
def test_a_pickle_that_runs_a_program_is_refused(
    wanted: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", wanted)
    torch.save({"state_dict": {"w": Program(tmp_path / "ran")}}, tmp_path / "w.pt")
    (tmp_path / "w.bin").write_bytes(pickle.dumps(Program(tmp_path / "ran")))
    for name in ("w.pt", "w.bin"):
        with pytest.raises(
            ModelUnavailable, match=rf"{name}' is damaged or contains more than weights.*safete"
        ):
            load_model(f"{TINY_CLIP}/{tmp_path / name}")
    assert not (tmp_path / "ran").exists()
    assert os.environ["TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"] == wanted
    assert "TORCH_FORCE_WEIGHTS_ONLY_LOAD" not in os.environ


def test_files_that_hold_no_weights_are_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.pt").touch()
    (tmp_path / "words.safetensors").write_bytes(b"words" * 99)
    torch.save(torch.zeros(3), tmp_path / "tensor.pt")
    torch.save({}, tmp_path / "none.pt")
    torch.save([1], tmp_path / "list.pt")
    for path in tmp_path.iterdir():
        with pytest.raises(ModelUnavailable, match=rf"does not hold weights of {TINY_CLIP}: [\w']"):
            load_model(f"{TINY_CLIP}/{path}")


@torch.no_grad()
def test_a_pickle_of_weights_alone_is_read(weights: Path, tmp_path: Path) -> None:
    state = load_file(weights)
    torch.save(state, tmp_path / "w.pt")
    read = load_model(f"{TINY_CLIP}/{tmp_path / 'w.pt'}").module.state_dict()
    assert all(torch.equal(read[name], tensor) for name, tensor in state.items())


@pytest.mark.parametrize(
    ("spec", "wanted"),
    [
        ("ViT-B-32/laion2b_s34b_b79k", "'laion/CLIP-ViT-B-32-laion2B-s34B-b79K'"),
        ("hf-hub:apple/MobileCLIP2-S0", "'apple/MobileCLIP2-S0'"),
    ],
)
def test_without_the_hub_the_file_and_its_place_are_named(
    spec: str, wanted: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(
        ModelUnavailable, match=rf"open_clip_model\.safetensors .*{wanted}.*--model builtin"
    ):
        load_model(spec)


class LongTower(torch.nn.Module):
    """Says, as xlm-roberta's text tower in open_clip does, more tokens than it takes."""

    context_length = 514

    def encode_text(self, ids: torch.Tensor) -> torch.Tensor:
        return torch.nn.Embedding(77, 5)(torch.arange(ids.shape[1])[None]).mean(1)


def test_the_dimension_is_asked_with_texts_as_they_are_tokenized() -> None:
    tokenize = open_clip_models._Tokenizer(open_clip.get_tokenizer("ViT-B-32"))
    assert open_clip_models._dim(LongTower(), tokenize) == 5
