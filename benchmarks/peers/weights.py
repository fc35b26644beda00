"""One set of weights for all tools: an architecture of open_clip at random, as .pt and as ONNX.

    python benchmarks/peers/weights.py --arch ViT-B-32-256 --out DIR

Time does not depend on what a model has learned, and no hub is needed. The ONNX pair is exported as
rclip's own `scripts/convert_model.py` does it: opset 18, float32, the batch left open.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

import open_clip
import torch
from torch import Tensor, nn

SEED, OPSET = 0, 18


class Photos(nn.Module):
    """The image tower as one function."""

    def __init__(self, towers: open_clip.CLIP) -> None:
        super().__init__()
        self.visual = towers.visual

    def forward(self, pixels: Tensor) -> Tensor:
        """Embed photos. Shapes (b, 3, s, s) and (b, dim)."""
        vectors: Tensor = self.visual(pixels)
        return vectors


class Texts(nn.Module):
    """The text tower as one function."""

    def __init__(self, towers: open_clip.CLIP) -> None:
        super().__init__()
        self.towers = towers

    def forward(self, tokens: Tensor) -> Tensor:
        """Embed texts. Shapes (b, 77) and (b, dim)."""
        vectors: Tensor = self.towers.encode_text(tokens)
        return vectors


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--arch", default="ViT-B-32-256")
    parser.add_argument("--out", type=Path, required=True)
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(SEED)
    towers = open_clip.create_model(asked.arch).eval()
    side = towers.visual.image_size[0]
    export(Photos(towers), torch.zeros(1, 3, side, side), asked.out / "visual.onnx")
    export(Texts(towers), torch.ones(1, 77, dtype=torch.long), asked.out / "textual.onnx")
    words = Path(open_clip.__file__).parent / "bpe_simple_vocab_16e6.txt.gz"
    shutil.copy(words, asked.out)
    torch.save(towers.state_dict(), asked.out / "weights.pt")  # last: what is complete has it


def export(tower: nn.Module, example: Tensor, path: Path) -> None:
    """Write a tower as rclip reads it."""
    torch.onnx.export(
        tower,
        (example,),
        str(path),
        input_names=["input"],
        output_names=["output"],
        dynamic_axes={"input": {0: "batch"}, "output": {0: "batch"}},
        opset_version=OPSET,
        dynamo=False,
    )


if __name__ == "__main__":
    main()
