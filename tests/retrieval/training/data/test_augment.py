"""Random crops and colours: nothing when switched off, and the same for any split of a batch."""

from __future__ import annotations

import torch

from retrieval.training.config import AugmentConfig
from retrieval.training.data.augment import Draw, augment

OFF = AugmentConfig(crop=1.0, ratio=1.0, flip=0.0, colour=0.0, grey=0.0)


def canvases(count: int) -> torch.Tensor:
    return torch.randint(
        0, 256, (count, 3, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )


def test_switched_off_it_changes_nothing() -> None:
    photos = canvases(3)
    torch.testing.assert_close(
        augment(photos, Draw.of(3, seed=0), 16, OFF), photos.float(), atol=1e-3, rtol=0
    )


def test_a_sure_flip_mirrors() -> None:
    photos = canvases(3)
    flipped = augment(photos, Draw.of(3, 0), 16, AugmentConfig(**{**vars(OFF), "flip": 1.0}))
    torch.testing.assert_close(flipped, photos.float().flip(3), atol=1e-3, rtol=0)


def test_a_sure_grey_has_three_equal_channels() -> None:
    photos = canvases(3)
    grey = augment(photos, Draw.of(3, 0), 16, AugmentConfig(**{**vars(OFF), "grey": 1.0}))
    want = photos.float().mean(dim=1, keepdim=True).expand(-1, 3, -1, -1)
    torch.testing.assert_close(grey, want, atol=1e-3, rtol=0)


def test_a_batch_in_two_halves_is_the_same_batch() -> None:
    photos, draw = canvases(6), Draw.of(6, seed=7)
    whole = augment(photos, draw, 12, AugmentConfig())
    halves = [
        augment(photos[part], draw[part], 12, AugmentConfig()) for part in (slice(3), slice(3, 6))
    ]
    assert torch.equal(whole, torch.cat(halves))
    assert whole.shape == (6, 3, 12, 12)
    assert 0.0 <= whole.min() <= whole.max() <= 255.0


def test_another_seed_is_another_picture() -> None:
    photos = canvases(2)
    first, second = (augment(photos, Draw.of(2, seed), 16, AugmentConfig()) for seed in (1, 2))
    assert not torch.equal(first, second)
