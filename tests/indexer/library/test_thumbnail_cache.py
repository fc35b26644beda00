"""Thumbnails are kept within a limit, by any number of processes, and lost without harm."""

from __future__ import annotations

import os
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from indexer.core.errors import LibraryLocked
from indexer.library import thumbnail_cache
from indexer.library.thumbnail_cache import THUMBNAILS, ThumbnailCache

ROOT = Path(__file__).parents[3]


def _digest(number: int) -> bytes:
    return number.to_bytes(16, "big")


@pytest.fixture
def hours(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A clock that stands until it is set."""
    now = [1_000]
    monkeypatch.setattr(thumbnail_cache, "_now", lambda: now[0])
    return now


def test_what_is_put_comes_back(tmp_path: Path) -> None:
    cache = ThumbnailCache(tmp_path)
    assert cache.get(_digest(1), "256") == b""
    assert not (tmp_path / THUMBNAILS).exists()  # asking makes no file
    cache.put(_digest(1), "256", b"small")
    cache.put(_digest(1), "1024", b"large")
    cache.put(_digest(1), "256", b"small again")
    assert cache.get(_digest(1), "256") == b"small again"
    assert cache.get(_digest(1), "1024") == b"large"
    assert cache.get(_digest(2), "256") == b""
    cache.close()
    assert ThumbnailCache(tmp_path).get(_digest(1), "1024") == b"large"


def test_what_was_not_used_for_longest_goes_first(tmp_path: Path, hours: list[int]) -> None:
    cache = ThumbnailCache(tmp_path, limit=10_000)
    for number in range(10):
        cache.put(_digest(number), "256", bytes(1_000))
        hours[0] += 1
    assert cache.get(_digest(0), "256") == bytes(1_000)  # used again
    cache.put(_digest(10), "256", bytes(1_000))
    kept = [number for number in range(11) if cache.get(_digest(number), "256")]
    assert kept == [0, 3, 4, 5, 6, 7, 8, 9, 10]  # 90 % of the limit


def test_the_file_shrinks_with_its_content(tmp_path: Path, hours: list[int]) -> None:
    cache = ThumbnailCache(tmp_path, limit=1_000_000)
    for number in range(300):
        cache.put(_digest(number), "256", os.urandom(10_000))
    cache.close()
    assert (tmp_path / THUMBNAILS).stat().st_size < 2_500_000
    del hours


def test_a_thumbnail_above_the_limit_is_not_kept(tmp_path: Path) -> None:
    cache = ThumbnailCache(tmp_path, limit=10)
    cache.put(_digest(1), "256", bytes(11))
    assert cache.get(_digest(1), "256") == b""
    none = ThumbnailCache(tmp_path / "other", limit=0)
    none.put(_digest(1), "256", b"")
    assert not (tmp_path / "other").exists()


def test_dropped_thumbnails_are_in_no_file(tmp_path: Path) -> None:
    cache, beside = ThumbnailCache(tmp_path), ThumbnailCache(tmp_path)
    for number in range(50):
        cache.put(_digest(number), "256", b"picture %03d " % number * 500)
    assert beside.get(_digest(7), "256")  # a server has the file open, too
    ThumbnailCache(tmp_path).keep_only([_digest(7), _digest(99)])
    left = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert [number for number in range(50) if b"picture %03d" % number in left] == [7]
    assert beside.get(_digest(7), "256").startswith(b"picture 007")
    assert beside.get(_digest(8), "256") == b""
    cache.drop(_digest(7))
    assert beside.get(_digest(7), "256") == b""


def test_what_cannot_be_dropped_now_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(thumbnail_cache, "_PATIENCE", 0.1)
    cache = ThumbnailCache(tmp_path)
    cache.put(_digest(1), "256", b"picture")
    other = sqlite3.connect(tmp_path / THUMBNAILS, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(LibraryLocked, match=r"thumbnails\.sqlite is busy"):
        ThumbnailCache(tmp_path).keep_only([])
    other.execute("ROLLBACK")
    other.close()
    ThumbnailCache(tmp_path).keep_only([])
    assert cache.get(_digest(1), "256") == b""


def test_nothing_is_dropped_where_nothing_is_kept(tmp_path: Path) -> None:
    ThumbnailCache(tmp_path).keep_only([])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("damage", ["no database", "cut", "flipped", "no table", "another version"])
def test_a_broken_file_is_started_again(tmp_path: Path, damage: str) -> None:
    cache, path = ThumbnailCache(tmp_path), tmp_path / THUMBNAILS
    for number in range(20):
        cache.put(_digest(number), "256", bytes(5_000))
    cache.close()
    data = path.read_bytes()
    if damage == "no database":
        path.write_bytes(b"something else " * 1_000)
    elif damage == "cut":
        path.write_bytes(data[:10_000])
    elif damage == "flipped":
        path.write_bytes(data[:4096] + bytes(len(data) - 4096))
    else:
        with sqlite3.connect(path) as sqlite:
            sqlite.execute(
                "DROP TABLE thumbnails" if damage == "no table" else "PRAGMA user_version=0"
            )
        sqlite.close()
    cache.get(_digest(3), "256")
    cache.put(_digest(99), "256", b"new")
    assert cache.get(_digest(99), "256") == b"new"
    cache.keep_only([_digest(99)])
    assert cache.get(_digest(99), "256") == b"new"
    assert cache.get(_digest(3), "256") == b""


def test_a_folder_that_was_replaced(tmp_path: Path) -> None:
    folder = tmp_path / "library"
    folder.mkdir()
    cache = ThumbnailCache(folder)
    cache.put(_digest(1), "256", b"old")
    folder.rename(tmp_path / "moved")
    assert cache.get(_digest(1), "256") == b""
    cache.put(_digest(1), "256", b"nowhere to keep it")
    folder.mkdir()
    cache.put(_digest(1), "256", b"new")
    assert cache.get(_digest(1), "256") == b"new"


def test_a_closed_folder_keeps_nothing(as_a_user: Path) -> None:
    as_a_user.chmod(0o500)
    cache = ThumbnailCache(as_a_user)
    cache.put(_digest(1), "256", b"picture")
    assert cache.get(_digest(1), "256") == b""
    assert list(as_a_user.iterdir()) == []


def test_kept_thumbnails_do_no_harm_where_nothing_can_be_written(as_a_user: Path) -> None:
    cache = ThumbnailCache(as_a_user)
    cache.put(_digest(1), "256", b"picture")
    cache.close()
    for path in as_a_user.iterdir():
        path.chmod(0o400)
    as_a_user.chmod(0o500)
    assert ThumbnailCache(as_a_user).get(_digest(1), "256") == b""
    ThumbnailCache(as_a_user).put(_digest(2), "256", b"picture")
    assert [path.name for path in as_a_user.iterdir()] == [THUMBNAILS]


@pytest.mark.parametrize(("folder", "file"), [(0o700, 0o600), (0o750, 0o640)])
def test_who_may_enter_the_library_may_read_them(tmp_path: Path, folder: int, file: int) -> None:
    tmp_path.chmod(folder)
    cache = ThumbnailCache(tmp_path)
    cache.put(_digest(1), "256", b"picture")
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert modes == {THUMBNAILS + end: file for end in ("", "-wal", "-shm")}


def test_threads_and_processes_write_at_once(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path\n"
        "from indexer.library.thumbnail_cache import ThumbnailCache\n"
        "cache = ThumbnailCache(Path(sys.argv[1]))\n"
        "for number in range(100):\n"
        "    cache.put(int(sys.argv[2] + str(number)).to_bytes(16, 'big'), '256', b'p' * 3000)\n"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    others = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path), each], env=environment)
        for each in ("1", "2")
    ]
    cache = ThumbnailCache(tmp_path)

    def put(first: int) -> None:
        for number in range(first, first + 50):
            cache.put(_digest(number), "256", b"q" * 3000)

    threads = [threading.Thread(target=put, args=(10_000 * n,)) for n in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [other.wait(60) for other in others] == [0, 0]
    assert all(cache.get(_digest(10_000 * n + m), "256") for n in range(1, 5) for m in range(50))
    assert all(cache.get(_digest(int(f"{n}{m}")), "256") for n in (1, 2) for m in range(100))


def test_a_kill_leaves_a_file_that_can_be_used(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from itertools import count\n"
        "from indexer.library.thumbnail_cache import ThumbnailCache\n"
        "cache = ThumbnailCache(Path(sys.argv[1]))\n"
        "for number in count():\n"
        "    cache.put(number.to_bytes(16, 'big'), '256', number.to_bytes(4, 'big') * 2000)\n"
        "    print(number, flush=True)\n"
    )
    writer = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
    )
    assert writer.stdout is not None
    for _ in range(200):
        last = int(writer.stdout.readline())
    writer.send_signal(signal.SIGKILL)
    writer.wait(30)
    writer.stdout.close()
    cache = ThumbnailCache(tmp_path)
    for number in range(last + 1):
        assert cache.get(_digest(number), "256") == number.to_bytes(4, "big") * 2000
