"""How fast the built-in model learns and encodes on this machine's CPU.

    python benchmarks/speed.py            # every line, each in a process of its own
    python benchmarks/speed.py half       # one of them

Inputs are random: only time is measured. Prints the median of three runs after one to warm up.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np
import torch
from PIL import Image
from torch.nn import functional as F

from indexer.core.encoder import Encoder, TokenEncoder
from retrieval import quick_encoder
from retrieval.models import TorchEncoder, dual_encoder, load_model
from retrieval.models.dual_encoder import DualEncoder, regularise
from retrieval.rerankers import load_reranker
from retrieval.training.cpu import keep_freed_memory

PHOTOS = 512
CAPTION = "a black dog is running after a white dog in the snow"


def seconds(work: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> float:
    """Return the median time of three runs."""
    work()
    times = []
    for _ in range(3):
        start = clock()
        work()
        times.append(clock() - start)
    return statistics.median(times)


def learn(*, patch_drop: float = 0.0, spelled_out: bool = True, keep: bool = True) -> str:
    """Run the image tower forward and backward in bfloat16."""
    if keep:
        keep_freed_memory()
    if not spelled_out:
        dual_encoder._attend = lambda q, k, v, seen: F.scaled_dot_product_attention(q, k, v, seen)
    module = load_model().module
    assert isinstance(module, DualEncoder)
    tower = module.visual.bfloat16().train()
    regularise(module, drop_path=0.0, patch_drop=patch_drop)
    photos = PHOTOS if patch_drop else PHOTOS // 8  # all patches of 512 photos need 25 GB
    pixels = torch.randn(photos, 3, 224, 224).bfloat16()
    return f"{photos / seconds(lambda: tower(pixels).float().sum().backward()):.0f} photos/s"


def captions(group: int) -> str:
    """Run the text tower forward and backward over captions of 1 to 35 words."""
    keep_freed_memory()
    model = load_model()
    dual_encoder.GROUP = group
    tower = model.module.text.bfloat16().train()
    words = CAPTION.split() * 4
    lengths = np.random.default_rng(0).gamma(6.0, 2.0, 1024).clip(1, 35).astype(int)
    tokens = model.tokenize([" ".join(words[:length]) for length in lengths])
    return f"{1024 / seconds(lambda: tower(tokens).float().sum().backward()):.0f} captions/s"


def encode_photos() -> str:
    """Encode photos as `twinlens index` does, without decoding them."""
    encoder = TorchEncoder(load_model(), "cpu")
    noise = np.random.default_rng(0).integers(0, 256, (256, 256, 3), dtype=np.uint8)
    photos = [Image.fromarray(noise)] * 256
    return f"{256 / seconds(lambda: encoder.encode_images(photos)):.0f} photos/s"


def encode_text() -> str:
    """Encode one text, as a query."""
    encoder = TorchEncoder(load_model(), "cpu")
    return f"{1000 * seconds(lambda: encoder.encode_texts([CAPTION])):.1f} ms"


def on_one_core() -> Encoder:
    """Return the built-in model as `twinlens` runs it on a CPU, kept on one core (Linux)."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    return quick_encoder("builtin", "cpu")


def one_core_photos() -> str:
    """Encode photos on one core, image tokens too, without decoding; seconds are of its CPU."""
    encoder = on_one_core()
    assert isinstance(encoder, TokenEncoder)
    noise = np.random.default_rng(0).integers(0, 256, (448, 448, 3), dtype=np.uint8)
    photos = [Image.fromarray(noise)] * 64
    took = seconds(lambda: encoder.encode_with_tokens(photos), time.process_time)
    return f"{64 / took:.0f} photos/s"


def one_core_text() -> str:
    """Encode one text on one core, as a query; seconds are of its CPU."""
    encoder = on_one_core()
    took = seconds(lambda: [encoder.encode_texts([CAPTION]) for _ in range(50)], time.process_time)
    return f"{1000 * took / 50:.1f} ms"


def rerank() -> str:
    """Rescore 50 photos for one text, their tokens at hand, under an instruction."""
    encoder = TorchEncoder(load_model(), "cpu")
    reranker = load_reranker("builtin", encoder)
    shape = encoder.token_shape
    assert shape is not None
    noise = np.random.default_rng(0).normal(size=(50, shape.tokens, shape.width))
    sights = list(noise.astype(np.float32))

    plain = [(CAPTION, "")] * 50
    both = plain + [(CAPTION, "it must not show people")] * 50
    once = 1000 * seconds(lambda: reranker.score(plain, sights))
    steered = 1000 * seconds(lambda: reranker.score(both, sights * 2))
    return f"{once:.0f} ms, with an instruction {steered:.0f} ms"


LINES: dict[str, Callable[[], str]] = {
    "fused": lambda: learn(spelled_out=False),
    "spelled": lambda: learn(),
    "half": lambda: learn(patch_drop=0.5),
    "half-returned": lambda: learn(patch_drop=0.5, keep=False),
    "captions-together": lambda: captions(group=1 << 30),
    "captions-grouped": lambda: captions(group=dual_encoder.GROUP),
    "encode-photos": encode_photos,
    "encode-text": encode_text,
    "one-core-photos": one_core_photos,
    "one-core-text": one_core_text,
    "rerank-50": rerank,
}


def main() -> None:
    if len(sys.argv) > 1:
        print(f"{sys.argv[1]}: {LINES[sys.argv[1]]()}")
        return
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads")
    for name in LINES:
        subprocess.run([sys.executable, __file__, name], check=True)


if __name__ == "__main__":
    main()
