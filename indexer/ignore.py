"""What a `.twinlensignore` leaves out, in the syntax of `.gitignore`.

The file speaks for its folder and all below. Of several that speak of one path the deepest
decides, and within one file the last line that matches, as in git.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pathspec import GitIgnoreSpec

from indexer.errors import FileUnreadable

IGNORE_FILE = ".twinlensignore"


@dataclass(frozen=True, kw_only=True)
class Ignore:
    """The ignore files that speak of one folder.

    Attributes:
        rules: each with the folder that it lies in, the deepest first.
    """

    rules: tuple[tuple[str, GitIgnoreSpec], ...] = ()

    @classmethod
    def above(cls, root: Path) -> Ignore:
        """Return what the folders above a root say of what it holds.

        A file that leaves out the root itself says nothing: who names a folder wants it. Nor
        does one that cannot be read.
        """
        ignore = cls()
        for folder in reversed(root.parents):
            with suppress(FileUnreadable):
                deeper = ignore.within(folder)
                ignore = ignore if deeper.covers(os.fspath(root), is_dir=True) else deeper
        return ignore

    def within(self, folder: Path) -> Ignore:
        """Add what a folder says itself.

        Raises:
            FileUnreadable: its ignore file cannot be read, or a line of it means nothing.
        """
        try:
            lines = os.fsdecode((folder / IGNORE_FILE).read_bytes()).splitlines()
            spec = GitIgnoreSpec.from_lines(lines)
        except (FileNotFoundError, NotADirectoryError):
            return self
        except OSError as error:
            raise FileUnreadable(f"{(error.strerror or str(error)).lower()}: {_CLOSED}") from error
        except ValueError as error:
            raise FileUnreadable(f"{error}: {_CLOSED}") from error
        return Ignore(rules=((os.fspath(folder), spec), *self.rules))

    def covers(self, path: str, *, is_dir: bool) -> bool:
        """Tell whether a path is left out."""
        for folder, spec in self.rules:
            inside = os.path.relpath(path, folder) + ("/" if is_dir else "")
            ignored = spec.check_file(inside).include
            if ignored is not None:
                return ignored
        return False


_CLOSED = "its folder is passed over, and what is known of it stays"
