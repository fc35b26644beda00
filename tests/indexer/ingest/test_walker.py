"""Folders become files: in order, once each, whatever lies in the way."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from indexer.core.types import Kind, Skip
from indexer.ingest.walker import FoundFile, WalkOptions, walk


def _touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def _paths(*roots: Path, options: WalkOptions | None = None) -> list[Path]:
    found = walk(roots, options=options or WalkOptions())
    return [item.path for item in found if isinstance(item, FoundFile)]


def test_order_is_sorted_files_before_folders(tmp_path: Path) -> None:
    b, a, deep = tmp_path / "b.jpg", tmp_path / "a.PNG", tmp_path / "0" / "c.txt"
    _touch(b, a, deep)
    assert _paths(tmp_path) == [a, b, deep]


def test_found_tells_kind_size_and_date(tmp_path: Path) -> None:
    path = tmp_path / "a.md"
    path.write_bytes(b"12345")
    os.utime(path, ns=(7, 1_234_567_890))
    wanted = FoundFile(location=str(path), kind=Kind.TEXT, size=5, mtime_ns=1_234_567_890)
    assert list(walk([tmp_path], options=WalkOptions())) == [wanted]


def test_unknown_suffixes_are_passed_over(tmp_path: Path) -> None:
    _touch(tmp_path / "a.mp3", tmp_path / "b", tmp_path / "c.jpg.part")
    assert _paths(tmp_path) == []


def test_hidden_and_excluded_folders_are_passed_over(tmp_path: Path) -> None:
    kept = tmp_path / "kept.jpg"
    hidden = tmp_path / ".hidden.jpg"
    excluded = [tmp_path / name / "a.jpg" for name in ("@eaDir", "node_modules", ".git")]
    _touch(kept, hidden, *excluded)
    assert _paths(tmp_path) == [kept]
    every = WalkOptions(exclude_dirs=(), include_hidden=True)
    assert sorted(_paths(tmp_path, options=every)) == sorted([kept, hidden, *excluded])


def _ignore(folder: Path, *lines: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / ".twinlensignore").write_text("\n".join(lines))


def test_an_ignore_file_is_read_as_git_reads_its_own(tmp_path: Path) -> None:
    """The same lines, given to git itself, leave out the same files."""
    names = ["a.jpg", "b.png", "keep.png", "raw/a.jpg", "raw/sub/c.png", "sub/raw/d.jpg"]
    names += ["sub/e.png", "sub/x y.jpg", "thumb/f.jpg", "sub/thumb/g.jpg", "#h.jpg", "!i.jpg"]
    _touch(*(tmp_path / name for name in names))
    top = ["# a remark", "", "*.png", "!keep.png", "/raw/", "thumb", r"\#h.jpg", r"\!i.jpg"]
    sub = ["!e.png", "x y.jpg", "!thumb/"]
    for where, lines in ((tmp_path, top), (tmp_path / "sub", sub)):
        _ignore(where, *lines)
        (where / ".gitignore").write_text("\n".join(lines))
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    listing = ["git", "-C", tmp_path, "ls-files", "--others", "--exclude-standard", "-z"]
    told = subprocess.run(listing, check=True, capture_output=True, text=True).stdout
    wanted = sorted(name for name in told.split("\0") if name and "ignore" not in name)
    assert wanted == ["a.jpg", "keep.png", "sub/e.png", "sub/raw/d.jpg", "sub/thumb/g.jpg"]
    assert sorted(str(path.relative_to(tmp_path)) for path in _paths(tmp_path)) == wanted


def test_an_ignore_file_above_the_root_counts_but_the_root_is_walked(tmp_path: Path) -> None:
    root = tmp_path / "album" / "raw"
    _touch(root / "a.jpg", root / "b.png")
    _ignore(tmp_path, "*.png")
    _ignore(tmp_path / "album", "/raw/")
    assert _paths(tmp_path) == []
    assert _paths(root) == [root / "a.jpg"]


def test_names_that_are_not_utf_8_can_be_ignored(tmp_path: Path) -> None:
    _touch(Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.jpg")), tmp_path / "b.jpg")
    (tmp_path / ".twinlensignore").write_bytes(b"caf\xe9.jpg\n")
    assert _paths(tmp_path) == [tmp_path / "b.jpg"]


def test_an_ignore_file_that_cannot_be_read_closes_its_folder(as_a_user: Path) -> None:
    _touch(as_a_user / "sub" / "secret.jpg", as_a_user / "a.jpg")
    _ignore(as_a_user / "sub", "*")
    (as_a_user / "sub" / ".twinlensignore").chmod(0)
    found, skip = walk([as_a_user], options=WalkOptions())
    assert found.path == as_a_user / "a.jpg"
    assert skip.path == as_a_user / "sub"
    assert skip.reason.startswith(".twinlensignore: permission denied: its folder is skipped")


def test_a_root_is_walked_whatever_its_name(tmp_path: Path) -> None:
    photo = tmp_path / ".git" / "a.jpg"
    _touch(photo)
    assert _paths(tmp_path / ".git") == [photo]


def test_a_root_may_be_a_file(tmp_path: Path) -> None:
    photo, other = tmp_path / "a.jpg", tmp_path / "b.jpg"
    _touch(photo, other)
    assert _paths(photo) == [photo]
    assert _paths(photo, tmp_path) == [photo, other]


def test_overlapping_roots_yield_a_file_once(tmp_path: Path) -> None:
    photo = tmp_path / "sub" / "a.jpg"
    _touch(photo)
    assert _paths(tmp_path, tmp_path / "sub", tmp_path) == [photo]
    assert _paths(tmp_path / "sub", tmp_path) == [photo]


def test_the_library_is_not_walked(tmp_path: Path) -> None:
    photo, inside = tmp_path / "a.jpg", tmp_path / "library" / "b.jpg"
    _touch(photo, inside)
    found = walk([tmp_path], options=WalkOptions(), apart=[tmp_path / "library"])
    assert [item.path for item in found] == [photo]


def test_a_symlink_loop_ends(tmp_path: Path) -> None:
    photo = tmp_path / "sub" / "a.jpg"
    _touch(photo)
    (tmp_path / "sub" / "up").symlink_to(tmp_path)
    assert _paths(tmp_path) == [photo]


def test_a_linked_folder_comes_after_the_real_ones(tmp_path: Path) -> None:
    inside, outside = tmp_path / "root" / "real" / "a.jpg", tmp_path / "elsewhere" / "b.jpg"
    _touch(inside, outside)
    root = tmp_path / "root"
    (root / "album").symlink_to(root / "real")
    (root / "drive").symlink_to(tmp_path / "elsewhere")
    assert _paths(root) == [inside, root / "drive" / "b.jpg"]


def test_a_link_that_leads_nowhere_is_listed(tmp_path: Path) -> None:
    (tmp_path / "drive").symlink_to(tmp_path / "unplugged")
    (tmp_path / "self").symlink_to(tmp_path / "self")
    reason = "a link that leads nowhere"
    assert list(walk([tmp_path], options=WalkOptions())) == [
        Skip(path=tmp_path / "drive", reason=reason),
        Skip(path=tmp_path / "self", reason=reason),
    ]


def test_a_pipe_is_passed_over(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.jpg")
    assert _paths(tmp_path) == []


def test_newlines_and_foreign_bytes_in_names(tmp_path: Path) -> None:
    names = [b"a\nb.jpg", b"caf\xe9.jpg"]
    for name in names:
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name)).write_bytes(b"x")
    assert [os.fsencode(path.name) for path in _paths(tmp_path)] == names


def test_a_closed_folder_is_listed(as_a_user: Path) -> None:
    closed, photo = as_a_user / "closed", as_a_user / "z" / "b.jpg"
    _touch(closed / "a.jpg", photo)
    closed.chmod(0)
    skip, found = walk([as_a_user], options=WalkOptions())
    assert skip == Skip(path=closed, reason="permission denied")
    assert found.path == photo


def test_a_folder_that_goes_while_it_is_walked_is_listed(tmp_path: Path) -> None:
    _touch(tmp_path / "a.jpg", tmp_path / "sub" / "b.jpg")
    found = walk([tmp_path], options=WalkOptions())
    assert next(found).path == tmp_path / "a.jpg"
    (tmp_path / "sub" / "b.jpg").unlink()
    (tmp_path / "sub").rmdir()
    assert list(found) == [Skip(path=tmp_path / "sub", reason="no such file or directory")]


@pytest.mark.parametrize("spell", [str, str.lower, str.upper])
@pytest.mark.parametrize(
    "name",
    [
        *("#recycle", "@Recycle", "$RECYCLE.BIN", "RECYCLER", ".Trash-1000", ".Trashes"),
        *("Network Trash Folder", "lost+found", "LOST.DIR", "found.000", ".recycle"),
        *("#snapshot", "@snapshot", ".snapshot", ".snapshots", "~snapshot", ".zfs"),
        *(".stversions", ".stfolder", "Backups.backupdb"),
        *("@eaDir", "@SynoResource", ".thumbnails", ".@__thumb", "appdata_oc1x"),
        *("System Volume Information", "Temporary Items", "node_modules", ".git"),
        *("Fotos.photoslibrary/resources", "iPhoto Library/Thumbnails", "a Previews.lrdata"),
    ],
)
def test_trash_snapshots_and_thumbnails_are_passed_over(
    tmp_path: Path, name: str, spell: Callable[[str], str]
) -> None:
    kept = tmp_path / "a.jpg"
    _touch(kept, tmp_path / "2019" / spell(name) / "deep" / "b.jpg")
    assert _paths(tmp_path, options=WalkOptions(include_hidden=True)) == [kept]


@pytest.mark.parametrize(
    "name",
    [
        *("Recycling", "Trash day", "My Snapshots", "resources", "Thumbnails", "lost", "found art"),
        *("A.photoslibrary/originals", "iPhoto Library/Masters", "temporary", "#recycled art"),
    ],
)
def test_folders_of_like_names_are_walked(tmp_path: Path, name: str) -> None:
    photo = tmp_path / name / "a.jpg"
    _touch(photo)
    assert _paths(tmp_path) == [photo]


def test_trash_as_a_root_and_trash_that_is_wanted_are_walked(tmp_path: Path) -> None:
    photo = tmp_path / "#recycle" / "a.jpg"
    _touch(photo)
    assert _paths(tmp_path / "#recycle") == [photo]
    assert _paths(tmp_path, options=WalkOptions(exclude_dirs=())) == [photo]
    assert _paths(tmp_path, options=WalkOptions(exclude_dirs=("#REC*",))) == []
