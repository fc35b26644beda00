"""The towers against other implementations: numpy, torch's own layers, timm's ViT."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from timm.models.vision_transformer import VisionTransformer
from torch import nn

from retrieval.models.dual_encoder import (
    Attention,
    Block,
    BlockConfig,
    DualEncoder,
    DualEncoderConfig,
    ImageTower,
    ImageTowerConfig,
    NamePrototypes,
    TextTower,
    TextTowerConfig,
    regularise,
)


def softmax(scores: np.ndarray) -> np.ndarray:
    raised = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return raised / raised.sum(axis=-1, keepdims=True)


@pytest.mark.parametrize("training", [False, True])
def test_attention_is_softmax_of_scaled_products_times_values(training: bool) -> None:
    torch.manual_seed(0)
    attention = Attention(12, heads=3).train(training)
    x = torch.randn(2, 5, 12)
    seen = torch.tensor([[True] * 5, [True, True, True, False, False]])
    got = attention(x, seen).detach().numpy()

    qkv = x.numpy() @ attention.qkv.weight.detach().numpy().T + attention.qkv.bias.detach().numpy()
    q, k, v = np.split(qkv, 3, axis=-1)
    heads = []
    for h in range(3):
        part = slice(4 * h, 4 * h + 4)
        scores = q[..., part] @ k[..., part].swapaxes(1, 2) / np.sqrt(4)
        scores = np.where(seen.numpy()[:, None, :], scores, -np.inf)
        heads.append(softmax(scores) @ v[..., part])
    joined = np.concatenate(heads, axis=-1)
    want = joined @ attention.proj.weight.detach().numpy().T + attention.proj.bias.detach().numpy()
    np.testing.assert_allclose(got, want, atol=1e-6)


@pytest.mark.parametrize("norm_first", [False, True])
def test_a_block_equals_torchs_encoder_layer(norm_first: bool) -> None:
    torch.manual_seed(0)
    shape = BlockConfig(width=12, heads=3, norm_first=norm_first, eps=1e-6)
    block = Block(shape).eval()
    layer = nn.TransformerEncoderLayer(
        12, 3, 48, 0.0, "gelu", 1e-6, batch_first=True, norm_first=norm_first
    ).eval()
    layer.self_attn.in_proj_weight.data = block.attn.qkv.weight.data
    layer.self_attn.in_proj_bias.data = block.attn.qkv.bias.data
    layer.self_attn.out_proj = block.attn.proj
    layer.linear1, layer.linear2 = block.mlp.fc1, block.mlp.fc2
    layer.norm1, layer.norm2 = block.norm1, block.norm2
    x = torch.randn(2, 5, 12)
    torch.testing.assert_close(block(x), layer(x))


def test_the_image_tower_equals_timms_vit() -> None:
    torch.manual_seed(0)
    theirs = VisionTransformer(
        img_size=32, patch_size=8, embed_dim=24, depth=2, num_heads=3, num_classes=0
    ).eval()
    config = ImageTowerConfig(size=32, patch=8, width=24, layers=2, heads=3)
    ours = ImageTower(DualEncoderConfig(image=config, hidden=8, dim=4)).eval()
    renamed = {
        n.replace("patch_embed.proj", "patch_embed"): w for n, w in theirs.state_dict().items()
    }
    missing, unexpected = ours.load_state_dict(renamed, strict=False)
    assert not unexpected
    assert all(name.startswith("head.") for name in missing)
    pixels = torch.randn(2, 3, 32, 32)
    torch.testing.assert_close(ours.tokens(pixels), theirs.forward_features(pixels))


def test_padding_changes_no_text() -> None:
    torch.manual_seed(0)
    config = TextTowerConfig(vocabulary=20, context=8, width=12, layers=2, heads=3)
    tower = TextTower(DualEncoderConfig(text=config, hidden=8, dim=4)).eval()
    bare = tower(torch.tensor([[5, 6, 7]]))
    padded = tower(torch.tensor([[5, 6, 7, 0, 0]]))
    torch.testing.assert_close(bare, padded)


def test_what_is_left_out_at_random_is_left_out_in_training_alone() -> None:
    torch.manual_seed(0)
    towers = DualEncoder(DualEncoderConfig(dim=8, hidden=8))
    pixels = torch.randn(2, 3, 224, 224)
    regularise(towers, drop_path=0.5, patch_drop=0.75)
    drops = [block.drop.rate for block in towers.visual.blocks]
    assert drops[0] == 0.0
    assert drops[-1] == 0.5
    assert towers.visual.tokens(pixels).shape == (2, 1 + 49, 192)
    towers.eval()
    assert towers.visual.tokens(pixels).shape == (2, 1 + 196, 192)
    torch.testing.assert_close(towers.encode_image(pixels), towers.encode_image(pixels))


def test_a_class_memory_adds_the_values_of_likely_classes() -> None:
    torch.manual_seed(0)
    image = ImageTowerConfig(size=32, patch=8, width=48, layers=1, heads=3, classes=5)
    config = DualEncoderConfig(image=image, hidden=32, dim=16)
    tower = ImageTower(config).eval()
    plain = ImageTower(replace(config, image=replace(image, classes=0))).eval()
    torch.nn.init.normal_(tower.memory.values)
    plain.load_state_dict({n: w for n, w in tower.state_dict().items() if "memory" not in n})
    pixels = torch.randn(3, 3, 32, 32)
    with torch.no_grad():
        read = tower.read(tower.tokens(pixels))
    embedded, alone = tower(pixels), plain(pixels)
    for row in range(3):
        scores = [float(read[row] @ key + b) for key, b in zip(*_keys(tower), strict=True)]
        likely = [math.exp(score - max(scores)) for score in scores]
        wanted = alone[row] / alone[row].norm()
        for share, value in zip(likely, tower.memory.values, strict=True):
            wanted = wanted + share / sum(likely) * value.detach()
        torch.testing.assert_close(embedded[row], wanted, atol=1e-5, rtol=1e-4)


def _keys(tower: ImageTower) -> tuple[torch.Tensor, torch.Tensor]:
    return tower.memory.keys.weight.detach(), tower.memory.keys.bias.detach()


CODED = DualEncoderConfig(
    image=ImageTowerConfig(size=32, patch=8, width=24, layers=1, heads=3, classes=5),
    text=TextTowerConfig(vocabulary=20, context=8, width=12, layers=1, heads=3, names=4),
    dim=16,
    hidden=8,
    code=6,
    known=0.5,
)


def test_a_name_memory_reads_the_values_of_likely_names() -> None:
    torch.manual_seed(0)
    memory = NamePrototypes(3, names=2, code=4)
    torch.nn.init.normal_(memory.values)
    x = torch.randn(5, 3)
    normed = nn.functional.layer_norm(x, (3,))
    scores = normed @ memory.keys.weight.detach().T + memory.keys.bias.detach()
    shares = softmax(scores.numpy())
    values = np.concatenate([memory.values.detach().numpy(), np.zeros((1, 4))])  # none: zero
    np.testing.assert_allclose(memory(x).detach().numpy(), shares @ values, atol=1e-6)


def coded_towers() -> DualEncoder:
    torch.manual_seed(0)
    towers = DualEncoder(CODED).eval()
    torch.nn.init.normal_(towers.text.memory.values)
    torch.nn.init.normal_(towers.visual.memory.values)
    return towers


def test_a_text_that_names_nothing_has_no_code() -> None:
    towers = coded_towers()
    tokens = torch.tensor([[5, 6, 7, 0], [8, 9, 10, 11]])
    with torch.no_grad():
        towers.text.memory.keys.bias[-1] = 1e4
        read = towers.text.average(towers.text.tokens(tokens), tokens != 0)
        plain = nn.functional.normalize(towers.text.head(read), dim=1)
        got = towers.encode_text(tokens, normalize=True)
    torch.testing.assert_close(got, torch.cat([plain, torch.zeros(2, 6)], dim=1))


def test_a_text_with_a_name_moves_towards_photos_of_its_class_alone() -> None:
    towers = coded_towers()
    pixels, tokens = torch.randn(2, 3, 32, 32), torch.tensor([[5, 6, 7]])
    with torch.no_grad():
        towers.visual.memory.keys.weight.zero_()
        read = towers.visual.read(towers.visual.tokens(pixels))
        towers.visual.memory.keys.weight[3] = 1e3 * (read[0] - read[1])  # the first is of class 3,
        towers.visual.memory.keys.weight[1] = 1e3 * (read[1] - read[0])  # the second of class 1
        photos = towers.encode_image(pixels, normalize=True)
        value = towers.visual.memory.values[3, -6:].detach()
        towers.text.memory.values[2] = value
        scores = []
        for name in (4, 2):  # none, then the class
            towers.text.memory.keys.bias.fill_(0.0)[name] = 1e4
            scores.append(towers.encode_text(tokens, normalize=True)[0] @ photos.T)
    codes = nn.functional.normalize(towers.visual.memory.values[[3, 1], -6:].detach(), dim=1)
    length = math.sqrt(1.0 + float(value @ value))
    whole = math.sqrt(1.0 + 0.5**2)  # of a photo's vector, before it is scaled
    torch.testing.assert_close(scores[1], (scores[0] + 0.5 / whole * codes @ value) / length)


def test_all_photos_have_codes_of_one_length() -> None:
    towers = coded_towers()
    with torch.no_grad():
        embedded = towers.encode_image(torch.randn(4, 3, 32, 32))
    torch.testing.assert_close(embedded[:, :10].norm(dim=1), torch.ones(4))
    torch.testing.assert_close(embedded[:, 10:].norm(dim=1), torch.full((4,), 0.5))


@pytest.mark.parametrize(
    ("classes", "names", "code"), [(5, 0, 6), (0, 4, 6), (5, 4, 0), (5, 4, 16), (5, 4, -1)]
)
def test_a_code_that_does_not_fit_is_refused(classes: int, names: int, code: int) -> None:
    image, text = replace(CODED.image, classes=classes), replace(CODED.text, names=names)
    with pytest.raises(ValueError, match="code"):
        DualEncoderConfig(image=image, text=text, dim=16, code=code, known=0.5 if code else 0.0)


@pytest.mark.parametrize(("code", "known"), [(6, 0.0), (0, 0.5)])
def test_a_code_has_a_length(code: int, known: float) -> None:
    with pytest.raises(ValueError, match=f"a code of {code} dimensions and of length {known}"):
        replace(CODED, code=code, known=known)
