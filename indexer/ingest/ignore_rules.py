"""What a walk leaves out: the rules of `.twinlensignore` files, and folders that hold no originals.

The rules have the syntax of `.gitignore`.

A file applies to its folder and everything below. If several files match one path, the deepest
decides; within one file, the last matching line does, as in git. A walk does not enter what is
excluded, so each path is compared on its own, without the folders above it.

Trash, snapshots, thumbnails and system folders are never entered. Their photos are deleted, older
versions of photos elsewhere, or small copies of them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache, lru_cache
from pathlib import Path

from indexer.core.errors import FileUnreadable
from indexer.core.file_access import read_regular
from indexer.ingest.glob_patterns import GlobPattern, parsed

IGNORE_FILE = ".twinlensignore"

MAX_BYTES = 4_000_000
"""A list of 50,000 paths has as many."""

MOST_WILD = 1_000
"""Lines with wildcards: each is compared with each file. Lines without are looked up."""

LONGEST_LINE = 4_096
"""No path is longer."""


_CLOSED = "its folder is skipped, and its files stay in the library"

TRASH = (
    *("#recycle", "@Recycle", ".recycle", ".Recycle.Bin", "$RECYCLE.BIN", "RECYCLER", "RECYCLED"),
    *(".Trash*", ".Trashes", "Network Trash Folder", "trashbox", ".dtrash", "files_trashbin"),
    *("lost+found", "LOST.DIR", "found.0*"),
)
"""NAS, Windows, macOS, Linux, digiKam and Nextcloud; what a check of a disk found."""

SNAPSHOTS = (
    *("#snapshot", "@snapshot", ".snapshot", ".snapshots", "~snapshot", "@Recently-Snapshot"),
    *("@sharesnap", "@GMT-*", ".zfs", "Backups.backupdb", ".MobileBackups"),
    *(".stversions", ".stfolder", "files_versions"),
)
"""NAS, ZFS, btrfs, Time Machine, Syncthing and Nextcloud."""

THUMBNAILS = (
    *("@eaDir", "#eaDir", ".thumbnails", "@__thumb", ".@__thumb", "@Transcode", ".wdmc"),
    *("appdata_*", "*.lrdata"),
    *(
        f"{library}/{name}"
        for library in ("*.photoslibrary", "*.photolibrary", "*.aplibrary", "iPhoto Library")
        for name in (
            *("resources", "Thumbnails", "Previews", "Data", "Data.noindex", "Caches"),
            *("database", "private", "scopes", "Attachments", "iPod Photo Cache"),
            "Apple TV Photo Cache",
        )
    ),
)
"""NAS, phones, Linux, Nextcloud, Lightroom; in the libraries of Apple's programs all but photos."""

SYSTEM = (
    *("System Volume Information", "$WinREAgent", "@SynoResource", "@tmp", ".@upload_cache"),
    *("Temporary Items", ".TemporaryItems", ".Spotlight-V100", ".fseventsd", ".AppleDouble"),
    *(".DocumentRevisions-V100", ".dropbox.cache", ".tmp.drivedownload"),
    *("node_modules", ".git"),
)
"""What operating systems, NAS, clouds and programmers keep for themselves."""

EXCLUDED_DIRS = (*TRASH, *SNAPSHOTS, *THUMBNAILS, *SYSTEM)
"""Names of folders, in any case; `*` stands for anything, "a/b" for a folder b in a folder a."""


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


def is_excluded(path: str, names: tuple[str, ...]) -> bool:
    """Return whether the folder at a path has one of these names, as in `EXCLUDED_DIRS`."""
    return _pattern(names).fullmatch(path.casefold()) is not None


@lru_cache(maxsize=4_096)
def lies_in_excluded(folder: str, roots: tuple[str, ...], names: tuple[str, ...]) -> bool:
    """Return whether a folder or one above it has one of these names; roots are always entered."""
    inside = (root for root in roots if Path(folder).is_relative_to(root))
    root = max(inside, key=len, default="")
    above = (os.fspath(each) for each in (Path(folder), *Path(folder).parents))
    return any(len(each) > len(root) and is_excluded(each, names) for each in above)


@cache
def _pattern(names: tuple[str, ...]) -> re.Pattern[str]:
    """Match paths that end with one of these names."""
    spelt = (re.escape(name.casefold()).replace("/", r"[/\\]") for name in names)
    either = "|".join(each.replace(r"\*", r"[^/\\]*") for each in spelt)
    return re.compile(rf"(?:.*[/\\])?(?:{either})" if either else r"(?!)", re.DOTALL)
