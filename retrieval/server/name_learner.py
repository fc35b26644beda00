"""Learns a name in a process of its own: `python -m retrieval.server.name_learner`.

Learning needs much memory, which the server would keep. The request comes on stdin as one line of
JSON; lines of JSON on stdout say how far it is, and how it ended.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from indexer.core.errors import FileUnreadable, TwinlensError
from indexer.core.types import Kind
from indexer.decoding.sandbox import follow_parent
from retrieval.api import PhotoLibrary
from retrieval.errors import ConceptInvalid, ItemMissing

_NICE = 10  # how far the process stands back behind searches


@dataclass(frozen=True, kw_only=True)
class LearnRequest:
    """What is to be learned.

    Attributes:
        library: its folder.
        name: to learn.
        items: ids of the photos that show what is called so.
        like: a plain word for it; empty takes the one that fits.
        parent: the process that asks; this one ends with it.
    """

    library: str
    name: str
    items: list[int]
    like: str
    parent: int


def main() -> None:
    """Read a request, learn, and say how it went."""
    request = LearnRequest(**json.loads(sys.stdin.readline()))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to answer
    follow_parent(request.parent)
    if os.name == "posix":
        os.nice(_NICE)
    try:
        say({"learned": learned(request)})
    except TwinlensError as error:
        say({"error": type(error).__name__, "detail": str(error)})


def learned(request: LearnRequest) -> dict[str, Any]:
    """Learn a name; return what is told of it."""
    with PhotoLibrary.open(request.library, create=False) as library:
        photos, skipped = _photos(library, request.items)

        def progress(done: int, total: int) -> None:
            say({"done": done, "total": total})

        told = library.learn(request.name, *photos, like=request.like, progress=progress)
    concept = told.concept
    skipped += [f"{skip.path}: {skip.reason}" for skip in told.skipped]
    return {
        "name": concept.name,
        "like": concept.like,
        "photos": concept.photos,
        "model": concept.model,
        "usable": True,
        "replaced": told.replaced,
        "seconds": round(told.seconds, 2),
        "skipped": skipped,
    }


def _photos(library: PhotoLibrary, ids: list[int]) -> tuple[list[Path], list[str]]:
    """Return the files of items, and what cannot be read; none outside the library's folders.

    Raises:
        ConceptInvalid: none can be learned from.
    """
    found: list[Path] = []
    skipped: list[str] = []
    for id_ in dict.fromkeys(ids):
        try:
            hit = library.item(id_)
            if hit.kind != Kind.PHOTO or hit.time is not None:
                skipped.append(f"{hit.path}: a name is learned from photos")
                continue
            library.original(id_).file.close()
            found.append(hit.path)
        except (FileUnreadable, ItemMissing) as error:
            skipped.append(str(error))
    if not found:
        raise ConceptInvalid(f"no photo to learn from can be read; the first: {skipped[0]}")
    return found, skipped


def say(told: dict[str, Any]) -> None:
    """Write one line for the parent."""
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
