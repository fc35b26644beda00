"""The files that an earlier run skipped for reasons outside their content: rights, links, folders.

Faults of a file's content are stored in its row of the catalog. A file that cannot be opened has no
row, so a hash of it and of the reason is stored here, under the folder that was indexed. It
distinguishes files that are skipped for the first time from those that were skipped before.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from pathlib import Path

from indexer.core.types import Skip

SKIPPED = "skipped"
"""The fact that holds them."""

MOST = 2_000
"""Hashes that are kept: a search reads all facts, and these are 40 KB."""


class SkippedFiles:
    """What earlier runs noted.

    Args:
        text: the fact; one that cannot be read counts as none.
    """

    def __init__(self, text: str) -> None:
        self._roots = _loads(text)
        self._known = {each for hashes in self._roots.values() for each in hashes}

    def __contains__(self, skip: Skip) -> bool:
        return _hashed(skip) in self._known

    def after(self, roots: Sequence[Path], skips: Iterable[Skip], *, partial: bool = False) -> str:
        """Return what to note once these folders were indexed, and these files skipped.

        Args:
            roots: the folders.
            skips: the files.
            partial: whether parts of the folders were out of reach: what was skipped in them holds.
        """
        kept = self._but(() if partial else roots)
        for skip in list(skips)[:MOST]:
            root = next((root for root in roots if skip.path.is_relative_to(root)), roots[0])
            hashes = kept.setdefault(str(root), [])
            if _hashed(skip) not in hashes and len(hashes) < MOST:
                hashes.append(_hashed(skip))
        return json.dumps(kept)

    def without(self, folder: Path) -> str:
        """Return what to note once a folder is forgotten."""
        return json.dumps(self._but([folder]))

    def _but(self, roots: Sequence[Path]) -> dict[str, list[str]]:
        """Return the hashes by root, but for those of some folders and what lies below."""
        return {
            root: list(hashes)
            for root, hashes in self._roots.items()
            if not any(Path(root).is_relative_to(other) for other in roots)
        }


def _loads(text: str) -> dict[str, list[str]]:
    """Read the fact."""
    try:
        plain = json.loads(text or "{}")
    except ValueError:
        return {}
    return plain if isinstance(plain, dict) else {}


def _hashed(skip: Skip) -> str:
    """Hash a path and its reason."""
    told = b"\0".join((os.fsencode(skip.path), skip.reason.encode("utf-8", "surrogateescape")))
    return blake2b(told, digest_size=8).hexdigest()
