"""Reduce the frames of each video to the best one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from retrieval.search.hit import Hit


def one_a_video(find: Callable[[int], list[Hit]], depth: int) -> list[Hit]:
    """Return the best `depth` hits of which no two are of one video, if there are so many.

    Args:
        find: returns so many of the best hits, best first; more of them begin with the same.
        depth: how many are wanted.
    """
    looked = depth
    while True:
        found = find(looked)
        kept = _first_frames(found)
        if len(kept) >= depth or len(found) < looked:
            return kept[:depth]
        looked *= 4


def _first_frames(hits: Sequence[Hit]) -> list[Hit]:
    """Drop all frames of a video but the first, and count the ranks again."""
    videos: set[Path] = set()
    kept: list[Hit] = []
    for hit in hits:
        if hit.time is None or hit.path not in videos:
            kept.append(replace(hit, rank=len(kept) + 1))
        if hit.time is not None:
            videos.add(hit.path)
    return kept
