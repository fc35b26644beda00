"""What was found as bytes to save, read back by Python's own readers."""

from __future__ import annotations

import csv
import io
import json
import os
import zipfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from indexer.library.item_files import Original
from retrieval import PhotoLibrary, QueryInvalid
from retrieval.search.downloads import DownloadFormat, download
from retrieval.search.results import Hit
from tests.clips import clip, scene
from tests.fakes import ColourEncoder, draw


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PhotoLibrary]:
    """Photos of one name in two folders, one of a strange name, a film of two frames, a text."""
    encoder = ColourEncoder(name="builtin")
    for place in ("models.registry.load_encoder", "runtime.select_encoder.quick_encoder"):
        monkeypatch.setattr(f"retrieval.{place}", lambda *_, **__: encoder)
    photos = tmp_path / "photos"
    draw(photos / "a" / "x.png", "red")
    draw(photos / "b" / "X.png", "blue")
    draw(photos / "c" / "x.png", "green")
    draw(photos / "c" / "x-2.png", "white")
    draw(photos / "d" / "manifest.csv.png", "black")
    draw(photos / "d" / "=Süden\n.png", "yellow")
    clip(photos / "e" / "film.mp4", [(scene("red", "white"), 5.0), (scene("blue", "white"), 5.0)])
    (photos / "note.txt").write_text("a red door\na blue door\n", encoding="utf-8")
    with PhotoLibrary.open(tmp_path / "library") as opened:
        opened.index(photos)
        yield opened


def ids(library: PhotoLibrary) -> list[int]:
    """All photos by their paths, and the frames of the film."""
    hits = library.items(library.ids("-type:txt", frames=True).ids)
    return [hit.id for hit in sorted(hits, key=lambda hit: (str(hit.path), hit.time or 0.0))]


def saved(library: PhotoLibrary, chosen: list[int], form: str) -> bytes:
    return b"".join(library.download(chosen, form))


def unpacked(data: bytes) -> zipfile.ZipFile:
    archive = zipfile.ZipFile(io.BytesIO(data))
    assert archive.testzip() is None
    return archive


def manifest(archive: zipfile.ZipFile) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(archive.read("manifest.csv").decode(), newline="")))


def test_a_zip_has_each_file_once_under_a_name_of_its_own(library: PhotoLibrary) -> None:
    chosen = ids(library)
    archive = unpacked(saved(library, chosen, "zip"))
    names = [info.filename for info in archive.infolist()]
    assert names == [
        "x.png", "X-2.png", "x-2-2.png", "x-3.png", "=Süden\n.png", "manifest.csv.png", "film.mp4",
        "manifest.csv",
    ]  # fmt: skip
    rows = manifest(archive)
    hits = library.items(chosen)
    assert [row["path"] for row in rows] == [str(hit.path) for hit in hits]
    assert rows[4]["file"] == "'=Süden\n.png"  # no formula
    assert {row["problem"] for row in rows} == {""}
    assert [row["time"] for row in rows if row["file"] == "film.mp4"] == [
        str(hit.time) for hit in hits if hit.time is not None
    ]
    for row in rows:
        assert archive.read(row["file"].removeprefix("'")) == Path(row["path"]).read_bytes()
    info = archive.getinfo("x.png")
    written = datetime.fromtimestamp(hits[0].path.stat().st_mtime)
    assert datetime(*info.date_time) == written.replace(
        second=written.second // 2 * 2, microsecond=0
    )


def test_what_cannot_be_read_is_listed(library: PhotoLibrary) -> None:
    chosen = ids(library)
    gone, outside, *_ = (hit.path for hit in library.items(chosen))
    gone.unlink()
    outside.unlink()
    outside.symlink_to("/etc/hostname")
    archive = unpacked(saved(library, chosen, "zip"))
    first, second, *others = manifest(archive)
    assert (first["path"], first["file"], second["file"]) == (str(gone), "", "")
    assert "not reachable" in first["problem"]
    assert second["problem"]
    assert {row["problem"] for row in others} == {""}
    assert len(archive.namelist()) == 6


class _Fails(io.BytesIO):
    """A file that breaks off."""

    def read(self, size: int | None = -1, /) -> bytes:
        if self.tell():
            raise OSError(5, "Input/output error")
        return super().read(4)


def test_a_file_that_breaks_off_is_marked(library: PhotoLibrary) -> None:
    def opened(id_: int) -> Original:
        whole = library.original(id_)
        whole.file.close()
        file = _Fails(b"12345678") if id_ == broken else io.BytesIO(b"1234")
        return Original(file=file, path=whole.path, size=8, mtime=-1e12, version="")

    broken, cut, *_ = ids(library)
    data = b"".join(download([library.items([broken, cut])], DownloadFormat.ZIP, opened))
    archive = unpacked(data)
    assert [row["problem"] for row in manifest(archive)] == [
        "only a part: input/output error",
        "only a part: it was cut meanwhile",
    ]
    assert archive.infolist()[0].date_time == (1980, 1, 1, 0, 0, 0)


def test_nothing_is_held_in_memory(library: PhotoLibrary, tmp_path: Path) -> None:
    large = library.items(ids(library))[0]
    with large.path.open("ab") as file:
        file.truncate(40_000_000)
    pieces = [len(piece) for piece in library.download([large.id], "zip")]
    assert sum(pieces) > 40_000_000
    assert max(pieces) < 1_000_000


def test_lists_and_tables(library: PhotoLibrary) -> None:
    chosen = ids(library)
    hits = library.items(chosen)
    paths = dict.fromkeys(hit.path for hit in hits)
    assert saved(library, chosen, "list") == b"".join(os.fsencode(path) + b"\n" for path in paths)
    hits[0].path.unlink()
    told = [json.loads(line) for line in saved(library, chosen, "json").splitlines()]
    assert told[0] == {**hits[0].as_json(), "reachable": False}
    assert told[1:] == json.loads(json.dumps([hit.as_json() for hit in hits[1:]]))
    rows = list(csv.DictReader(io.StringIO(saved(library, chosen, "csv").decode(), newline="")))
    assert [row["path"] for row in rows] == [str(hit.path) for hit in hits]
    assert list(rows[0]) == ["rank", "score", "match", "kind", "path", "text", "id", "time"]


def test_items_that_are_gone_are_left_out(library: PhotoLibrary) -> None:
    chosen = ids(library)
    assert saved(library, [*chosen[:1], 10**9], "list").count(b"x.png") == 1
    for form in DownloadFormat:
        assert saved(library, [10**9], form) == saved(library, [], form) or form == "zip"
    with pytest.raises(QueryInvalid, match="a download is one of list, csv, json, zip, not 'tar'"):
        saved(library, chosen, "tar")


def test_a_hit_knows_its_place(library: PhotoLibrary) -> None:
    assert [isinstance(hit, Hit) for hit in library.items(ids(library)[:2])] == [True, True]
    assert [hit.rank for hit in library.items(ids(library)[:3])] == [1, 2, 3]
    many = ids(library)[:1] * 501
    told = saved(library, many, "json").splitlines()
    assert [json.loads(line)["rank"] for line in told] == list(range(1, 502))
