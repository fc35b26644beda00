"""A model folder: what is written comes back, and each kind of damage has its message."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from indexer.core.types import Hubness
from retrieval._enums import WeightStorage
from retrieval.errors import ModelUnavailable
from retrieval.models import load_encoder, load_model
from retrieval.models.checkpoint import load_checkpoint, pack, save_checkpoint, unpack
from tests.tiny import CODED, tiny_model


def weights(folder: Path) -> dict[str, Tensor]:
    return load_checkpoint(folder).module.state_dict()


def test_float32_comes_back_bit_for_bit(tmp_path: Path) -> None:
    model = tiny_model(tmp_path / "a")
    for name, tensor in weights(tmp_path / "a").items():
        assert torch.equal(tensor, model.module.state_dict()[name]), name


def test_a_code_of_names_comes_back(tmp_path: Path) -> None:
    model = tiny_model(tmp_path / "a", config=CODED)
    again = load_checkpoint(tmp_path / "a")
    assert again.architecture["code"] == CODED.code
    tokens = model.tokenize(["a red photo"])
    assert torch.equal(again.towers.encode_text(tokens), model.towers.encode_text(tokens))


def test_a_model_written_before_there_were_codes_is_read(tmp_path: Path) -> None:
    model = tiny_model(tmp_path / "a")
    config = json.loads((tmp_path / "a/config.json").read_text())
    del config["architecture"]["code"], config["architecture"]["text"]["names"]
    (tmp_path / "a/config.json").write_text(json.dumps(config))
    again = load_checkpoint(tmp_path / "a")
    for name, tensor in again.module.state_dict().items():
        assert torch.equal(tensor, model.module.state_dict()[name]), name


def test_float16_comes_back_rounded_to_float16(tmp_path: Path) -> None:
    model = tiny_model(tmp_path / "a")
    save_checkpoint(model, tmp_path / "b", WeightStorage.FLOAT16)
    for name, tensor in weights(tmp_path / "b").items():
        assert torch.equal(tensor, model.module.state_dict()[name].half().float()), name


def test_int8_is_off_by_half_a_step_at_most() -> None:
    torch.manual_seed(0)
    matrix = torch.randn(200, 300) * torch.rand(200, 1)
    packed = pack({"w": matrix, "b": torch.ones(4)}, WeightStorage.INT8)
    assert packed["w"].dtype == torch.int8
    back = unpack(packed)
    steps = packed["w:scale"].float()[:, None]
    assert ((back["w"] - matrix).abs() <= steps * 0.51 + 127 * steps * 2**-11).all()
    assert torch.equal(back["b"], torch.ones(4))


def test_the_same_weights_have_the_same_fingerprint_and_others_another(tmp_path: Path) -> None:
    tiny_model(tmp_path / "a")
    tiny_model(tmp_path / "same")
    tiny_model(tmp_path / "other", seed=1)
    fingerprints = [
        load_encoder(str(tmp_path / name)).fingerprint for name in ("a", "same", "other")
    ]
    assert fingerprints[0] == fingerprints[1] != fingerprints[2]


def test_vectors_are_of_unit_length_and_batches_change_nothing(tmp_path: Path) -> None:
    tiny_model(tmp_path / "a")
    encoder = load_encoder(str(tmp_path / "a"), "cpu")
    texts = ["red", "a photo of the blue stripe and the yellow stripe", "green and black"] * 30
    together = encoder.encode_texts(texts)
    assert together.shape == (90, 16)
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1.0, atol=1e-6)
    alone = np.concatenate([encoder.encode_texts([text]) for text in texts[:3]])
    np.testing.assert_allclose(together[:3], alone, atol=1e-6)
    assert encoder.encode_texts([]).shape == (0, 16)
    assert encoder.encode_images([]).shape == (0, 16)


def test_a_closing_full_stop_changes_no_text(tmp_path: Path) -> None:
    tiny_model(tmp_path / "a")
    encoder = load_encoder(str(tmp_path / "a"), "cpu")
    written = ["red and blue", "red and blue.", " red and blue . "]
    bare, stopped, spaced = (encoder.encode_texts([text]) for text in written)  # batches of one
    assert (bare == stopped).all()
    assert (bare == spaced).all()


def break_config(folder: Path, **changes: object) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **changes}))


def test_a_model_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match=r"no model '.*nowhere'.*builtin"):
        load_model(str(tmp_path / "nowhere"))
    with pytest.raises(ModelUnavailable, match="no model 'CLIP'"):
        load_model("CLIP")


def test_missing_weights_are_named(tmp_path: Path) -> None:
    tiny_model(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(ModelUnavailable, match=r"lacks model\.safetensors"):
        load_model(str(tmp_path))


def test_truncated_weights_are_damage(tmp_path: Path) -> None:
    tiny_model(tmp_path)
    whole = (tmp_path / "model.safetensors").read_bytes()
    (tmp_path / "model.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ModelUnavailable, match="damaged"):
        load_model(str(tmp_path))


def test_a_newer_format_asks_for_an_upgrade(tmp_path: Path) -> None:
    tiny_model(tmp_path)
    break_config(tmp_path, format=99)
    with pytest.raises(ModelUnavailable, match=r"format 99.*upgrade"):
        load_model(str(tmp_path))


def test_weights_of_another_shape_are_refused(tmp_path: Path) -> None:
    model = tiny_model(tmp_path)
    break_config(tmp_path, architecture={**model.architecture, "dim": 8})
    with pytest.raises(ModelUnavailable, match="another kind"):
        load_model(str(tmp_path))


def test_how_hubs_are_corrected_makes_no_other_model(tmp_path: Path) -> None:
    tiny_model(tmp_path)
    before = load_encoder(str(tmp_path), "cpu")
    assert before.hubness == Hubness()
    break_config(tmp_path, hubness={"k": 4, "text_to_image": 0.5})
    after = load_encoder(str(tmp_path), "cpu")
    assert after.hubness == Hubness(k=4, text_to_image=0.5, image_to_text=0.25)
    assert after.fingerprint == before.fingerprint


def test_how_hubs_are_corrected_is_saved(tmp_path: Path) -> None:
    model = replace(tiny_model(tmp_path / "a"), hubness=Hubness(k=7))
    save_checkpoint(model, tmp_path / "b")
    assert load_checkpoint(tmp_path / "b").hubness == Hubness(k=7)
    assert "hubness" not in json.loads((tmp_path / "a" / "config.json").read_text())


@pytest.mark.parametrize("wrong", [{"k": 0}, {"k": "many"}, {"alpha": 0.5}, [16]])
def test_a_wrong_correction_of_hubs_is_named(tmp_path: Path, wrong: object) -> None:
    tiny_model(tmp_path)
    break_config(tmp_path, hubness=wrong)
    with pytest.raises(ModelUnavailable, match=r"config\.json' has a wrong 'hubness': "):
        load_model(str(tmp_path))


def test_a_device_that_is_not_here(tmp_path: Path) -> None:
    tiny_model(tmp_path)
    with pytest.raises(ModelUnavailable, match=r"no device 'tpu'.*there is: .*cpu"):
        load_encoder(str(tmp_path), "tpu")
