"""Fit the gate that tells, by patch tokens, which photos may show text.

    python scripts/draw_texts.py PHOTOS DRAWN --seed 0
    twinlens index PHOTOS DRAWN --library LIBRARY
    twinlens read --again PHOTOS --library LIBRARY
    python scripts/fit_text_gate.py LIBRARY --drawn DRAWN --seed 0

The reader itself labels the photos: one shows text if a line of three letters or more (two of
Chinese) was read with a confidence of 0.8. Pictures below DRAWN show text in any case. A hash of
its name puts a photo into one of five parts. Four fit a logistic regression; of these, each in turn
is scored by the other three, and these scores choose the weight decay and the threshold, which lets
96 % of the photos with text through. The fifth is reported; so is each part in its turn.
"""

from __future__ import annotations

import argparse
import json
import sys
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file
from scipy.optimize import minimize

from indexer.catalog.changes import NewFile
from indexer.core.text_normalization import is_spaceless
from indexer.core.types import TextLine
from indexer.library.library import Library
from retrieval.models.text_gate import features

RECALL = 0.96
"""Of photos with text that choose the threshold: a little more than the 0.95 that are asked for."""

CONFIDENCE = 0.8
DECAYS = (1.0, 10.0, 30.0, 100.0, 300.0)
"""Weights of the squared weights, of which the photos that choose the threshold take one."""


@dataclass(frozen=True, kw_only=True)
class Photos:
    """Photos of a library: features (photos, 2 * width), whether each shows text, and its part."""

    inputs: NDArray[np.float32]
    shows: NDArray[np.bool_]
    part: NDArray[np.int64]

    def of(self, *parts: int) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Return features and labels of some of the five parts."""
        among = np.isin(self.part, parts)
        return self.inputs[among], self.shows[among]


def main() -> None:
    """Fit, report and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("library", type=Path)
    parser.add_argument("--drawn", type=Path)
    parser.add_argument("--out", type=Path, default=Path("data/text_gate.safetensors"))
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with Library.open(options.library) as library:
        shape = library.patch_tokens.shape()
        if shape is None:
            sys.exit("the library holds no patch tokens; make it with the built-in model")
        names, tokens, shows = _read(library, options.drawn)
        model = library.fingerprint
    mean, scale = tokens.mean(axis=(0, 1)), tokens.std(axis=(0, 1))
    part = np.array([zlib.crc32(f"{options.seed} {name}".encode()) % 5 for name in names])
    photos = Photos(inputs=features(tokens, mean, scale), shows=shows, part=part)
    decay, weights, bias, threshold = _chosen(photos, (0, 1, 2, 3))
    turns = [_reported(photos, part) for part in range(5)]
    report = {
        "photos": len(names),
        "with_text": int(shows.sum()),
        "decay": decay,
        "recall": round(float(np.mean([recall for recall, _ in turns])), 4),
        "passed_without_text": round(float(np.mean([passed for _, passed in turns])), 4),
        "fifth": [round(share, 4) for share in turns[4]],
    }
    print(json.dumps(report))
    about = {
        "model": model,
        "shape": {"tokens": shape.tokens, "width": shape.width},
        "bias": float(bias),
        "threshold": float(threshold),
        "report": report,
    }
    arrays = {"weights": weights, "mean": mean, "scale": scale}
    save_file(
        {name: np.ascontiguousarray(each, dtype=np.float32) for name, each in arrays.items()},
        options.out,
        metadata={"gate": json.dumps(about)},
    )


def _read(
    library: Library, drawn: Path | None
) -> tuple[list[str], NDArray[np.float32], NDArray[np.bool_]]:
    """Return names, tokens (photos, tokens, width) and labels of the photos that are known."""
    shape = library.patch_tokens.shape()
    assert shape is not None
    labels = {
        file.ids.start: (file.state.path.name, _shows(file, drawn))
        for file in library.catalog.holdings()
        if len(file.ids) == 1 and (file.reading or _is_drawn(file, drawn))
    }
    held = library.patch_tokens.read(list(labels), shape)
    known = [
        (*label, tokens)
        for label, tokens in zip(labels.values(), held, strict=True)
        if tokens is not None
    ]
    names, shows, tokens = zip(*known, strict=True)
    return list(names), np.stack(tokens), np.array(shows)


def _is_drawn(file: NewFile, drawn: Path | None) -> bool:
    """Tell whether a picture was drawn to show text."""
    return drawn is not None and file.state.path.is_relative_to(drawn.resolve())


def _shows(file: NewFile, drawn: Path | None) -> bool:
    """Tell whether a picture shows text."""
    lines = file.reading.lines if file.reading else ()
    return _is_drawn(file, drawn) or any(map(is_text, lines))


def is_text(line: TextLine) -> bool:
    """Tell whether a line is surely text: no shape that looks like a letter or two."""
    letters = [char for char in line.text if char.isalnum()]
    least = 2 if any(map(is_spaceless, letters)) else 3
    return line.confidence >= CONFIDENCE and len(letters) >= least


def _reported(photos: Photos, part: int) -> tuple[float, float]:
    """Fit without a part; return recall, and the share passed on of those without text, of it."""
    _, weights, bias, threshold = _chosen(photos, [each for each in range(5) if each != part])
    inputs, truth = photos.of(part)
    passes = inputs @ weights + bias >= threshold
    return float(passes[truth].mean()), float(passes[~truth].mean())


def _chosen(
    photos: Photos, parts: Sequence[int]
) -> tuple[float, NDArray[np.float32], float, float]:
    """Fit with the decay that passes on the fewest photos without text; return it, too."""
    best: tuple[float, float, float] | None = None
    for decay in DECAYS:
        scores, truth = _crossed(photos, parts, decay)
        threshold = float(np.quantile(scores[truth], 1 - RECALL))
        passed = float((scores[~truth] >= threshold).mean())
        if best is None or passed < best[0]:
            best = (passed, decay, threshold)
    assert best is not None
    weights, bias = fitted(*photos.of(*parts), best[1])
    return best[1], weights, bias, best[2]


def _crossed(
    photos: Photos, parts: Sequence[int], decay: float
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Score each part by a fit to the others. Shapes (photos,)."""
    scores, truths = [], []
    for part in parts:
        weights, bias = fitted(*photos.of(*(each for each in parts if each != part)), decay)
        inputs, truth = photos.of(part)
        scores.append(inputs @ weights + bias)
        truths.append(truth)
    return np.concatenate(scores), np.concatenate(truths)


def fitted(
    inputs: NDArray[np.float32], truth: NDArray[np.bool_], decay: float
) -> tuple[NDArray[np.float32], float]:
    """Fit a logistic regression whose two answers weigh the same. Shapes (n, features), (n,)."""
    signs = np.where(truth, 1.0, -1.0)
    shares = np.where(truth, 0.5 / truth.sum(), 0.5 / (~truth).sum())

    def loss(point: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        margin = signs * (inputs @ point[:-1] + point[-1])
        slope = -shares * signs / (1 + np.exp(np.clip(margin, -30, 30)))
        penalty = decay / len(truth) * (point[:-1] @ point[:-1])
        value = float(shares @ np.logaddexp(0, -margin) + penalty)
        down = np.append(inputs.T @ slope + 2 * decay / len(truth) * point[:-1], slope.sum())
        return value, down

    found = minimize(loss, np.zeros(inputs.shape[1] + 1), jac=True, method="L-BFGS-B")
    return found.x[:-1].astype(np.float32), float(found.x[-1])


if __name__ == "__main__":
    main()
