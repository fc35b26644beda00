"""Folders that a walk never enters: trash, snapshots, thumbnails, system folders.

Their photos are deleted, older versions of photos elsewhere, or small copies of them.
"""

from __future__ import annotations

import os
import re
from functools import cache, lru_cache
from pathlib import Path

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
