"""The built-in dual encoder: an image tower and a text tower with one joint space.

Shapes: b batch, n tokens, w width, h heads, d joint dimension.

Both towers are transformers with softmax attention. The image tower normalises before each
sub-layer (ViT), the text tower after it (BERT), so that published weights of either can initialise
it. Both classes have the methods of open_clip's `CLIP`, so that training and encoding treat them
alike: `encode_image`, `encode_text`, `logit_scale`, `logit_bias`.

Source: Dosovitskiy et al. 2021 (ViT, arXiv 2010.11929); Devlin et al. 2019 (BERT, arXiv
1810.04805); Radford et al. 2021 (CLIP, arXiv 2103.00020).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import islice

import torch
from torch import Tensor, nn
from torch.nn import functional as F

GROUP = 128  # texts of like length that go through the text tower together


@dataclass(frozen=True, kw_only=True)
class ImageTowerConfig:
    """Shape of the image tower; the defaults are ViT-Tiny/16.

    `classes` are the kinds of things that a `ClassPrototypes` tells apart; 0 for none.
    """

    size: int = 224
    patch: int = 16
    width: int = 192
    layers: int = 12
    heads: int = 3
    classes: int = 0


@dataclass(frozen=True, kw_only=True)
class TextTowerConfig:
    """Shape of the text tower; the defaults are those of MiniLM-L6.

    `names` are the kinds of things that a `NamePrototypes` knows by name; 0 for none.
    """

    vocabulary: int = 30522
    context: int = 64
    width: int = 384
    layers: int = 6
    heads: int = 12
    names: int = 0


@dataclass(frozen=True, kw_only=True)
class DualEncoderConfig:
    """Shape of the dual encoder. `hidden` is the width inside each projection head.

    The last `code` of the joint dimensions are no head's: a photo has the code of its classes
    there, a text that of the names in it. 0 for none; else both towers have their memories.
    `known` is the length of a photo's code, beside a unit vector of how it looks.
    """

    image: ImageTowerConfig = field(default_factory=ImageTowerConfig)
    text: TextTowerConfig = field(default_factory=TextTowerConfig)
    dim: int = 256
    hidden: int = 1024
    code: int = 0
    known: float = 0.0

    def __post_init__(self) -> None:
        if bool(self.code) != (self.known > 0.0):
            raise ValueError(f"a code of {self.code} dimensions and of length {self.known}")
        if not 0 <= self.code < self.dim:
            raise ValueError(f"a code of {self.code} dimensions leaves none of {self.dim}")
        if bool(self.code) != bool(self.text.names) or (self.code and not self.image.classes):
            raise ValueError("a code needs classes and names, and names need a code")


class Attention(nn.Module):
    """Multi-head softmax attention: `softmax(QKᵀ/√(w/h)) V`, then a projection."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Attend within each sequence; `mask` is True where a token may be looked at."""
        b, n, w = x.shape
        q, k, v = self.qkv(x).view(b, n, 3, self.heads, w // self.heads).permute(2, 0, 3, 1, 4)
        seen = None if mask is None else mask[:, None, None, :]  # (b, 1, 1, n)
        if self.training and x.device.type == "cpu":
            out = _attend(q, k, v, seen)  # (b, h, n, w/h)
        else:
            out = F.scaled_dot_product_attention(q, k, v, attn_mask=seen)
        attended: Tensor = self.proj(out.transpose(1, 2).reshape(b, n, w))
        return attended  # (b, n, w)


def _attend(q: Tensor, k: Tensor, v: Tensor, seen: Tensor | None) -> Tensor:
    """Spell attention out: on a CPU its backward pass is 1.4 times as fast as the fused kernel's.

    That one does not use the matrix units.
    """
    scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-2, -1)  # (b, h, n, n)
    if seen is not None:
        scores = scores.masked_fill(~seen, torch.finfo(scores.dtype).min)
    return torch.matmul(scores.softmax(-1), v)  # (b, h, n, w/h)


class Mlp(nn.Module):
    """Two linear layers with a GELU between them."""

    def __init__(self, width: int, hidden: int, out: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.fc2 = nn.Linear(hidden, out)

    def forward(self, x: Tensor) -> Tensor:
        """Map (…, width) to (…, out)."""
        y: Tensor = self.fc2(F.gelu(self.fc1(x)))
        return y


class DropPath(nn.Module):
    """Skip a residual branch for a random share of the samples (stochastic depth).

    The rate belongs to a training run, not to the model: `regularise` sets it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.rate = 0.0

    def forward(self, x: Tensor) -> Tensor:
        """Scale what is kept, so that the mean stays the same."""
        if not self.training or self.rate == 0.0:
            return x
        keep = torch.rand(x.shape[0], 1, 1, device=x.device) >= self.rate
        return x * keep.to(x.dtype) / (1.0 - self.rate)


@dataclass(frozen=True, kw_only=True)
class BlockConfig:
    """How one transformer block is built."""

    width: int
    heads: int
    norm_first: bool
    eps: float


class Block(nn.Module):
    """One transformer layer: attention and MLP, each with a residual and a LayerNorm."""

    def __init__(self, config: BlockConfig) -> None:
        super().__init__()
        self.norm_first = config.norm_first
        self.norm1 = nn.LayerNorm(config.width, eps=config.eps)
        self.attn = Attention(config.width, config.heads)
        self.norm2 = nn.LayerNorm(config.width, eps=config.eps)
        self.mlp = Mlp(config.width, 4 * config.width, config.width)
        self.drop = DropPath()

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Map (b, n, w) to (b, n, w)."""
        if self.norm_first:
            x = x + self.drop(self.attn(self.norm1(x), mask))
            return torch.add(x, self.drop(self.mlp(self.norm2(x))))
        x = self.norm1(x + self.drop(self.attn(x, mask)))
        normed: Tensor = self.norm2(x + self.drop(self.mlp(x)))
        return normed


class ProjectionHead(nn.Module):
    """A linear map into the joint space plus an MLP correction that starts at zero."""

    def __init__(self, width: int, hidden: int, dim: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.linear = nn.Linear(width, dim, bias=False)
        self.mlp = Mlp(width, hidden, dim)
        nn.init.zeros_(self.mlp.fc2.weight)
        nn.init.zeros_(self.mlp.fc2.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Map (b, width) to (b, dim)."""
        x = self.norm(x)
        projected: Tensor = self.linear(x) + self.mlp(x)
        return projected


class ClassPrototypes(nn.Module):
    """What a photo shows, looked up: softmax attention over learned classes, `softmax(QKᵀ) V`.

    The keys tell the classes apart, the values lie where the classes' names are in the joint
    space. So names find photos of which no caption spoke.
    """

    def __init__(self, width: int, classes: int, dim: int) -> None:
        super().__init__()
        self.keys = nn.Linear(width, classes)
        self.values = nn.Parameter(torch.zeros(classes, dim))

    def forward(self, x: Tensor) -> Tensor:
        """Look up what is on photos. (b, width) → (b, dim)."""
        read: Tensor = self.keys(x).softmax(-1) @ self.values
        return read


class NamePrototypes(nn.Module):
    """What a text names, looked up: softmax attention over learned names, `softmax(QKᵀ) V`.

    There is a key more than names: that of texts which name no one thing, such as captions. Its
    value is zero, so that such texts stay as they are.
    """

    def __init__(self, width: int, names: int, code: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)  # dimensions of one spread: else int8 keys lose the small
        self.keys = nn.Linear(width, names + 1)
        self.values = nn.Parameter(torch.zeros(names, code))

    def forward(self, x: Tensor) -> Tensor:
        """Look up what texts name. (b, width) → (b, code)."""
        named: Tensor = self.keys(self.norm(x)).softmax(-1)[:, :-1] @ self.values
        return named


class ImageTower(nn.Module):
    """A ViT whose class token, mean and maximum over the patches are read out together."""

    def __init__(self, whole: DualEncoderConfig) -> None:
        super().__init__()
        config, dim = whole.image, whole.dim
        self.config, self.code, self.known = config, whole.code, whole.known
        patches = (config.size // config.patch) ** 2
        self.patch_embed = nn.Conv2d(3, config.width, config.patch, stride=config.patch)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, config.width))
        self.pos_embed = nn.Parameter(torch.randn(1, patches + 1, config.width) * 0.02)
        shape = BlockConfig(width=config.width, heads=config.heads, norm_first=True, eps=1e-6)
        self.blocks = nn.ModuleList(Block(shape) for _ in range(config.layers))
        self.patch_drop = 0.0
        self.norm = nn.LayerNorm(config.width, eps=1e-6)
        self.head = ProjectionHead(3 * config.width, whole.hidden, dim - whole.code)
        self.memory = (
            ClassPrototypes(3 * config.width, config.classes, dim) if config.classes else None
        )

    def tokens(self, pixels: Tensor) -> Tensor:
        """Return the class token and the patch tokens. (b, 3, s, s) → (b, 1 + patches, w)."""
        x = self.patch_embed(pixels).flatten(2).transpose(1, 2)  # (b, patches, w)
        x = self._some(x + self.pos_embed[:, 1:])
        cls = (self.cls_token + self.pos_embed[:, :1]).expand(x.shape[0], -1, -1)
        x = torch.cat([cls, x], dim=1)
        for block in self.blocks:
            x = block(x)
        normed: Tensor = self.norm(x)
        return normed

    def _some(self, patches: Tensor) -> Tensor:
        """In training, keep a random share of the patches: cheaper, and a regulariser.

        Source: Li et al. 2023 (FLIP, arXiv 2212.00794).
        """
        if not self.training or self.patch_drop == 0.0:
            return patches
        b, n, w = patches.shape
        order = torch.rand(b, n, device=patches.device).argsort(dim=1)
        kept = order[:, : max(1, round(n * (1.0 - self.patch_drop)))]
        return patches.gather(1, kept[:, :, None].expand(-1, -1, w))

    def forward(self, pixels: Tensor) -> Tensor:
        """Embed normalised pixels. (b, 3, s, s) → (b, d), not yet of unit length."""
        return self.embed(self.tokens(pixels))

    def embed(self, tokens: Tensor) -> Tensor:
        """Embed photos by their tokens. (b, 1 + patches, w) → (b, d), not yet of unit length."""
        read = self.read(tokens)
        embedded: Tensor = self.head(read)
        if self.memory is None:
            return embedded
        remembered: Tensor = self.memory(read)
        looks = F.normalize(embedded, dim=-1) + remembered[:, : embedded.shape[1]]
        if not self.code:
            return looks
        known = F.normalize(remembered[:, -self.code :], dim=-1)
        return torch.cat([F.normalize(looks, dim=-1), self.known * known], dim=1)

    def read(self, tokens: Tensor) -> Tensor:
        """Return class token, mean and maximum of the patches. (b, 1 + patches, w) → (b, 3w)."""
        patches = tokens[:, 1:]
        return torch.cat([tokens[:, 0], patches.mean(dim=1), patches.amax(dim=1)], dim=1)

    def summarise(self, tokens: Tensor) -> Tensor:
        """Average the patches two by two: what a reranker reads of a photo.

        (b, 1 + patches, w) → (b, 1 + patches / 4, w), the class token first.
        """
        b, _, w = tokens.shape
        side = self.config.size // self.config.patch
        grid = tokens[:, 1:].transpose(1, 2).reshape(b, w, side, side)
        fewer = F.avg_pool2d(grid, 2).flatten(2).transpose(1, 2)  # (b, patches / 4, w)
        return torch.cat([tokens[:, :1], fewer], dim=1)


class TextTower(nn.Module):
    """A BERT-like encoder, averaged over its tokens. Token 0 is padding."""

    def __init__(self, whole: DualEncoderConfig) -> None:
        super().__init__()
        config, code = whole.text, whole.code
        self.embed = nn.Embedding(config.vocabulary, config.width)
        self.pos_embed = nn.Parameter(torch.randn(config.context, config.width) * 0.02)
        self.norm = nn.LayerNorm(config.width, eps=1e-12)
        shape = BlockConfig(width=config.width, heads=config.heads, norm_first=False, eps=1e-12)
        self.blocks = nn.ModuleList(Block(shape) for _ in range(config.layers))
        self.head = ProjectionHead(config.width, whole.hidden, whole.dim - code)
        self.memory = NamePrototypes(config.width, config.names, code) if code else None

    def tokens(self, tokens: Tensor) -> Tensor:
        """Return one vector a token. (b, n) → (b, n, w)."""
        return self.read(self.embed(tokens), tokens != 0)

    def read(self, embedded: Tensor, seen: Tensor, depth: int | None = None) -> Tensor:
        """Return one vector a token, of the vectors of the words alone. (b, n, w) → (b, n, w).

        `seen` is False at padding, (b, n); `depth` is how many blocks read: None for all.
        """
        x: Tensor = self.norm(embedded + self.pos_embed[: embedded.shape[1]])
        for block in islice(self.blocks, depth):
            x = block(x, seen)
        return x

    def forward(self, tokens: Tensor) -> Tensor:
        """Embed token ids. (b, n) → (b, d), not yet of unit length.

        Texts of like length go together: one long text does not pad all the others.
        """
        lengths = (tokens != 0).sum(dim=1)
        order = lengths.argsort()
        groups = order.chunk(-(-len(tokens) // GROUP)) if len(tokens) > GROUP else (order,)
        parts = [self._embed(tokens[rows, : lengths[rows].max()]) for rows in groups]
        return torch.cat(parts)[order.argsort()]

    def _embed(self, tokens: Tensor) -> Tensor:
        """Embed texts of like length. (b, n) → (b, d)."""
        return self.mean(self.tokens(tokens), tokens != 0)

    def mean(self, tokens: Tensor, seen: Tensor) -> Tensor:
        """Embed texts by the vectors of their tokens. (b, n, w) → (b, d), not of unit length."""
        read = self.average(tokens, seen)
        embedded: Tensor = self.head(read)
        if self.memory is None:
            return embedded
        return torch.cat([F.normalize(embedded, dim=-1), self.memory(read)], dim=1)

    def average(self, tokens: Tensor, seen: Tensor) -> Tensor:
        """Return the mean of the tokens that are seen. (b, n, w) → (b, w)."""
        weight = seen.unsqueeze(2).to(tokens.dtype)  # (b, n, 1)
        return (tokens * weight).sum(dim=1) / weight.sum(dim=1).clamp(min=1.0)


class DualEncoder(nn.Module):
    """Image tower, text tower and the learned temperature `1 / exp(logit_scale)`."""

    def __init__(self, config: DualEncoderConfig) -> None:
        super().__init__()
        self.config = config
        self.visual = ImageTower(config)
        self.text = TextTower(config)
        self.logit_scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))
        self.logit_bias = nn.Parameter(torch.tensor(0.0))

    def encode_image(self, image: Tensor, normalize: bool = False) -> Tensor:
        """Embed normalised pixels. (b, 3, s, s) → (b, d)."""
        x: Tensor = self.visual(image)
        return F.normalize(x, dim=-1) if normalize else x

    def encode_text(self, text: Tensor, normalize: bool = False) -> Tensor:
        """Embed token ids. (b, n) → (b, d)."""
        x: Tensor = self.text(text)
        return F.normalize(x, dim=-1) if normalize else x


def regularise(towers: nn.Module, drop_path: float, patch_drop: float) -> None:
    """Set what a training run leaves out at random; no effect on other architectures.

    Args:
        towers: a `DualEncoder`.
        drop_path: stochastic depth of the image tower, growing linearly from 0 at its first
            block to this at its last.
        patch_drop: share of the patches left out.
    """
    if isinstance(towers, DualEncoder):
        towers.visual.patch_drop = patch_drop
        drops = [module for module in towers.visual.modules() if isinstance(module, DropPath)]
        for position, drop in enumerate(drops):
            drop.rate = drop_path * position / max(1, len(drops) - 1)
