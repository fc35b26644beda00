"""The skipped pairs of a run: counted by reason, a few printed, all listed in a file."""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from indexer.core.types import Skip
from retrieval.errors import TrainingFailed

SKIPPED = "skipped.jsonl"
NAMED = 10  # skips that are printed; the file has all


class SkippedPairs:
    """All pairs skipped so far; each is reported once.

    A run that resumes goes on with what the file already holds.

    Args:
        out: folder that receives `skipped.jsonl`, an object with path and reason a line.
        note: called with each line for a person.
    """

    def __init__(self, out: Path, note: Callable[[str], None]) -> None:
        self._file = out / SKIPPED
        self._note = note
        self.all: tuple[Skip, ...] = ()
        self.catch_up()

    def catch_up(self) -> None:
        """Read what the file already lists: from the run before, or from other processes."""
        if self._file.exists():
            self.all = tuple(dict.fromkeys((*self.all, *_read(self._file))))

    def add(self, skips: Iterable[Skip]) -> None:
        """Report new skipped pairs: the first ones in a line each, all of them in the file."""
        if skips := list(skips):
            self.catch_up()
        known = set(self.all)
        new = [skip for skip in dict.fromkeys(skips) if skip not in known]
        left = max(0, NAMED - len(self.all))
        for skip in new[:left]:
            self._note(f"skipping {skip.path}: {skip.reason}")
        if left and len(new) > left:
            self._note(f"skipping more; {self._file} lists all")
        self.all = (*self.all, *new)
        if new:
            rows = ({"path": str(skip.path), "reason": skip.reason} for skip in new)
            self._write("".join(json.dumps(row) + "\n" for row in rows))

    def _write(self, lines: str) -> None:
        """Add whole lines to the file.

        Raises:
            TrainingFailed: it cannot be written; then it ends as it did before.
        """
        end = self._file.stat().st_size if self._file.exists() else 0
        try:
            with self._file.open("a", encoding="utf-8") as file:
                file.write(lines)
        except OSError as error:
            with suppress(OSError):
                os.truncate(self._file, end)
            raise TrainingFailed(f"cannot write '{self._file}': {error.strerror}") from error

    def sentence(self) -> str:
        """Count the skipped pairs by reason: "3 skipped (2 missing, 1 empty file)"."""
        counts = Counter(kind_of(skip.reason) for skip in self.all).most_common()
        reasons = ", ".join(f"{count:,} {kind}" for kind, count in counts)
        return f"{len(self.all):,} skipped" + (f" ({reasons})" if reasons else "")


def _read(file: Path) -> Iterator[Skip]:
    """Read the skips of a run that goes on; a kill may have cut the last line."""
    for line in file.read_text(encoding="utf-8").splitlines():
        with suppress(ValueError, KeyError):
            row = json.loads(line)
            yield Skip(path=Path(row["path"]), reason=row["reason"])


def kind_of(reason: str) -> str:
    """Return what a reason has in common with others of its kind: no names, no details.

    Names stand in quotes; details in brackets, after a colon, a semicolon or a comma.
    """
    return re.split(r" \(|[:;,]", re.sub(r"'[^']*' ?", "", reason))[0].strip()
