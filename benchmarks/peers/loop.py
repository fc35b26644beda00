"""What one writes in ten lines with open_clip: open, transform, batches of 8, float32.

python benchmarks/peers/loop.py --arch ViT-B-32-256 --weights FILE.pt --photos DIR --out FILE.npy
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import open_clip
import torch
from PIL import Image

BATCH = 8


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--arch", required=True)
    parser.add_argument("--weights", required=True)
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    asked = parser.parse_args()
    towers, transform = open_clip.create_model_from_pretrained(asked.arch, asked.weights)
    files = sorted(asked.photos.iterdir())
    vectors = []
    for start in range(0, len(files), BATCH):
        photos = [transform(Image.open(file)) for file in files[start : start + BATCH]]
        vectors.append(towers.encode_image(torch.stack(photos), normalize=True).numpy())
    np.save(asked.out, np.concatenate(vectors))


if __name__ == "__main__":
    main()
