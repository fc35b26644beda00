"""Detectors of style attributes: black and white, dark, bright, colourful; one for each attribute.

    odds(look, photo) = weights · looked(photo) + bias

They are trained on the photos' own pixels, so no caption has to mention the attribute, and "black
and white" is not confused with a black dog beside a white one. If a constraint names only a style
attribute, these detectors alone score it.

Shapes: l attributes, t texts, p photos, m patch tokens, d length of a token.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from indexer.core.atomic_io import replacing
from retrieval.builtin_reranker.word_detectors import Floats, looked
from retrieval.errors import ModelUnavailable
from retrieval.instructions.templates import words_of

LOOKS = "looks.safetensors"

_JOINT = "and"  # names are compared without it: ways to ask are made of it


@dataclass(frozen=True, kw_only=True, eq=False)
class StyleDetectors:
    """The detectors.

    Attributes:
        names: what each look is called, one way or another.
        weights: of what the detectors look at. Shape (l, 4d).
        bias: log-odds of each look where that is 0. Shape (l,).
    """

    names: tuple[tuple[str, ...], ...]
    weights: Floats
    bias: Floats

    def named(self, text: str) -> int | None:
        """Return the index of the one attribute that a text names alone; None for none."""
        said = _bare(text)
        same = (row for row, names in enumerate(self.names) if said in map(_bare, names))
        return next(same, None)

    def odds(self, places: Sequence[int], tokens: Floats) -> NDArray[np.float64]:
        """Return the log-odds that photos have these attributes. (t), (p, m, d) → (t, p)."""
        rows = list(places)
        odds = self.weights[rows] @ looked(tokens).T + self.bias[rows, None]
        return odds.astype(np.float64)


def no_looks() -> StyleDetectors:
    """Return detectors without an attribute."""
    none = np.zeros(0, dtype=np.float32)
    return StyleDetectors(names=(), weights=none.reshape(0, 1), bias=none)


def save_looks(looks: StyleDetectors, folder: Path) -> None:
    """Write `looks.safetensors`: numbers as float32, names in its header."""
    names = "\n".join("|".join(each) for each in looks.names)
    arrays = {"weights": looks.weights, "bias": looks.bias}
    with replacing(folder / LOOKS) as part:
        part.write_bytes(save(arrays, metadata={"names": names}))


def load_looks(folder: Path) -> StyleDetectors:
    """Read what `save_looks` wrote; a reranker that was made before has none.

    Raises:
        ModelUnavailable: the file is damaged.
    """
    path = folder / LOOKS
    try:
        with safe_open(path, framework="numpy") as opened:
            names = tuple(tuple(line.split("|")) for line in opened.metadata()["names"].split("\n"))
            weights, bias = (opened.get_tensor(name) for name in ("weights", "bias"))
    except FileNotFoundError:
        return no_looks()
    except (OSError, SafetensorError, KeyError, TypeError) as error:
        raise ModelUnavailable(f"'{path}' is damaged or of another kind: {error}") from error
    return StyleDetectors(names=names, weights=weights, bias=bias)


def _bare(text: str) -> frozenset[str]:
    """Return the words by which names are compared."""
    return frozenset(words_of(text) - {_JOINT})
