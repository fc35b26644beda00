"""Several heads in one: what the wide head gives is what they give."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from retrieval.models.dual_encoder import ProjectionHead

sys.path.append(str(Path(__file__).parents[2] / "scripts"))
teach_heads = pytest.importorskip("teach_heads")
TOWERS = ("visual", "text")


def head(seed: int) -> ProjectionHead:
    torch.manual_seed(seed)
    made = ProjectionHead(12, 20, 6)
    for weight in made.parameters():
        torch.nn.init.normal_(weight, std=0.5)
    return made


def test_one_wide_head_gives_what_several_give() -> None:
    heads, read = [head(1), head(2), head(3)], torch.randn(50, 12)
    with torch.no_grad():
        wide = teach_heads.side_by_side(heads, read)(read)
        each = [one(read) for one in heads]
    scaled = [one / one.norm(dim=1).mean() for one in each]
    torch.testing.assert_close(wide, torch.cat(scaled, dim=1), atol=1e-5, rtol=1e-4)


def test_a_head_ends_in_the_directions_that_are_kept() -> None:
    whole, read = head(4), torch.randn(50, 12)
    kept = torch.linalg.qr(torch.randn(6, 2)).Q
    with torch.no_grad():
        state = {f"{t}.head.{n}": w for t in TOWERS for n, w in whole.state_dict().items()}
        turned = teach_heads.turned_heads(state, kept)
        short = ProjectionHead(12, 20, 2)
        short.load_state_dict({n: turned[f"text.head.{n}"] for n in short.state_dict()})
        got, wanted = short(read), whole(read) @ kept
    torch.testing.assert_close(got, wanted, atol=1e-5, rtol=1e-4)


def test_heads_learn_which_caption_is_whose() -> None:
    torch.manual_seed(0)
    hidden = torch.randn(1024, 4)  # what photo and caption have in common
    photos = [F.pad(row, (0, 8))[None] + 0.1 * torch.randn(3, 12) for row in hidden]
    captions = hidden @ torch.randn(4, 12)
    pairs = teach_heads.Pairs(photos, captions, [[row] for row in range(1024)])
    like = teach_heads.Heads(head(1), head(2))
    heads = teach_heads.learned(pairs, like, seed=1, epochs=120, dropout=0.0)
    with torch.no_grad():
        seen = F.normalize(heads.image(torch.stack([views[0] for views in photos])), dim=1)
        said = F.normalize(heads.text(captions), dim=1)
    first = (said @ seen.T).argmax(1) == torch.arange(1024)
    assert first.float().mean() > 0.05  # by chance 0.001
