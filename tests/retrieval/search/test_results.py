"""A video is one hit: its best frame."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from indexer.core.types import Kind
from retrieval.search.results import Hit, one_a_video


def _hits(letters: str) -> list[Hit]:
    """A hit a letter: capitals are frames of the video of that name, the others photos."""
    return [
        Hit(
            rank=rank,
            score=1 / rank,
            kind=Kind.PHOTO,
            path=Path(letter),
            text="",
            id=rank,
            time=float(rank) if letter.isupper() else None,
        )
        for rank, letter in enumerate(letters, start=1)
    ]


def test_the_best_frame_stays_and_ranks_are_counted_anew() -> None:
    hits = _hits("aABAbBc")
    kept = one_a_video(lambda depth: hits[:depth], 7)
    assert [(hit.rank, str(hit.path), hit.id) for hit in kept] == [
        (1, "a", 1),
        (2, "A", 2),
        (3, "B", 3),
        (4, "b", 5),
        (5, "c", 7),
    ]


@given(letters=st.text("abABC", max_size=60), depth=st.integers(1, 12))
def test_so_many_come_as_there_are(letters: str, depth: int) -> None:
    hits = _hits(letters)
    kept = one_a_video(lambda deep: hits[:deep], depth)
    # By another way: strike repeated capitals from the whole list, then cut.
    whole = [
        hit
        for number, hit in enumerate(hits)
        if hit.time is None or hit.path not in {other.path for other in hits[:number]}
    ]
    assert [hit.id for hit in kept] == [hit.id for hit in whole[:depth]]
