"""The rules of `.twinlensignore` files, in the syntax of `.gitignore`.

A file applies to its folder and everything below. If several files match one path, the deepest
decides; within one file, the last matching line does, as in git. A walk does not enter what is
excluded, so each path is compared on its own, without the folders above it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from indexer.core.errors import FileUnreadable
from indexer.core.regular_files import read_regular
from indexer.ingest.glob_patterns import GlobPattern, parsed

IGNORE_FILE = ".twinlensignore"

MAX_BYTES = 4_000_000
"""A list of 50,000 paths has as many."""

MOST_WILD = 1_000
"""Lines with wildcards: each is compared with each file. Lines without are looked up."""

LONGEST_LINE = 4_096
"""No path is longer."""


@dataclass(kw_only=True)
class IgnoreFile:
    """The lines of one ignore file.

    Attributes:
        plain: the number of the last line without wildcards, by its text, and whether it is
            anchored and speaks of folders alone.
        wild: lines with wildcards: number, pattern and expression, the last first.
        keeps: numbers of the lines that take back what an earlier one left out.
    """

    plain: dict[tuple[str, bool, bool], int] = field(default_factory=dict)
    wild: list[tuple[int, GlobPattern, re.Pattern[str]]] = field(default_factory=list)
    keeps: set[int] = field(default_factory=set)

    @classmethod
    def read(cls, lines: Iterable[str]) -> IgnoreFile:
        """Read the lines of a file.

        Raises:
            FileUnreadable: a line is too long, or too many have wildcards.
        """
        rules = cls()
        for number, line in enumerate(lines, start=1):
            if len(line) > LONGEST_LINE:
                raise FileUnreadable(f"line {number} has more than {LONGEST_LINE:,} characters")
            pattern = parsed(line)
            if pattern is not None:
                rules._add(number, pattern)
        rules.wild.reverse()
        return rules

    def _add(self, number: int, pattern: GlobPattern) -> None:
        """Add a line."""
        if pattern.keeps:
            self.keeps.add(number)
        if pattern.is_plain:
            self.plain[pattern.text, pattern.anchored, pattern.folders_only] = number
            return
        if len(self.wild) == MOST_WILD:
            raise FileUnreadable(f"more than {MOST_WILD:,} lines with wildcards")
        self.wild.append((number, pattern, pattern.compiled()))

    def covers(self, path: str, *, is_dir: bool) -> bool | None:
        """Return whether a path is left out; None if no line speaks of it.

        Args:
            path: from the folder of the file on, parted by "/".
            is_dir: whether it is a folder.
        """
        name = path.rpartition("/")[2]
        kinds = (False, True) if is_dir else (False,)
        spoken = [self.plain.get((name, False, kind), 0) for kind in kinds]
        spoken += [self.plain.get((path, True, kind), 0) for kind in kinds]
        last = max(spoken)
        for number, pattern, expression in self.wild:
            if number < last:
                break
            asked = path if pattern.anchored else name
            if (is_dir or not pattern.folders_only) and expression.fullmatch(asked):
                last = number
                break
        return last not in self.keeps if last else None


@dataclass(frozen=True, kw_only=True)
class IgnoreRules:
    """The ignore files that speak of one folder.

    Attributes:
        rules: each with the folder that it lies in, the deepest first.
    """

    rules: tuple[tuple[str, IgnoreFile], ...] = ()

    @classmethod
    def above(cls, root: Path) -> IgnoreRules:
        """Return the rules that the folders above a root have for its content.

        A file that leaves out the root itself says nothing: who names a folder wants it. Nor
        does one that cannot be read.
        """
        ignore = cls()
        for folder in reversed(root.parents):
            with suppress(FileUnreadable):
                deeper = ignore.within(folder)
                ignore = ignore if deeper._leaves_out(root, folder) else deeper
        return ignore

    def within(self, folder: Path) -> IgnoreRules:
        """Add the rules of a folder itself.

        Raises:
            FileUnreadable: its ignore file cannot be read, or says too much.
        """
        try:
            text = os.fsdecode(read_regular(folder / IGNORE_FILE, MAX_BYTES))
            rules = IgnoreFile.read(text.removeprefix("\ufeff").split("\n"))
        except (FileNotFoundError, NotADirectoryError):
            return self
        except OSError as error:
            raise FileUnreadable(f"{(error.strerror or str(error)).lower()}: {_CLOSED}") from error
        except FileUnreadable as error:
            raise FileUnreadable(f"{error}: {_CLOSED}") from error
        return IgnoreRules(rules=((os.fspath(folder), rules), *self.rules))

    def covers(self, path: str, *, is_dir: bool) -> bool:
        """Return whether a path is left out."""
        for folder, rules in self.rules:
            inside = path[len(folder) :].lstrip(os.sep).replace(os.sep, "/")
            ignored = rules.covers(inside, is_dir=is_dir)
            if ignored is not None:
                return ignored
        return False

    def _leaves_out(self, root: Path, folder: Path) -> bool:
        """Return whether a root, or a folder between it and one above it, is left out."""
        between = [root, *root.parents][: len(root.parts) - len(folder.parts)]
        return any(self.covers(os.fspath(each), is_dir=True) for each in between)


_CLOSED = "its folder is skipped, and its files stay in the library"
