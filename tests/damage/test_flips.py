"""No bit of a library flips, and no file is cut, without `check` or without harm being noticed.

A bounded version of `benchmarks/flips.py`, which reports thousands.
"""

from __future__ import annotations

import re
import sqlite3
import sys
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from indexer.core.errors import LibraryDamaged, TwinlensError
from indexer.core.types import Kind
from indexer.ingest.pipeline import index_folders
from indexer.ingest.reindex import reindex
from indexer.library.library import NEXT, Library
from indexer.library.verify import check, repair
from retrieval.search import Searcher
from tests.fakes import ColourEncoder

sys.path.append(str(Path(__file__).parents[2]))
from benchmarks.flips import ENCODER, Bench, Damage, answers, damages, found


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """A library with one of each file, whole again before each damage."""
    return Bench(tmp_path_factory.mktemp("flips"), mended=0.05)


@pytest.fixture
def folder(bench: Bench) -> Path:
    """That library."""
    bench.restore()
    return bench.folder


def test_random_bits_and_cuts(bench: Bench) -> None:
    drawn = list(damages(bench.folder, flips=60, cuts=2, seed=5))
    assert {damage.path.split("/")[0] for damage in drawn} >= {
        *("catalog.sqlite", "tokens.bin", "banks.safetensors", "cohorts.safetensors"),
        *("vectors", "ann", "concepts"),
    }
    outcomes = [bench.judge(damage) for damage in drawn]
    assert [outcome for outcome in outcomes if outcome.is_bad] == []


def _execute(folder: Path, statement: str, *values: object) -> None:
    """Change the catalog behind its back."""
    with closing(sqlite3.connect(folder / "catalog.sqlite")) as connection, connection:
        connection.execute(statement, values)


def _rounded(said: list[Any]) -> str:
    """Answers whose numbers are those of another order of the same sums."""
    return re.sub(r"-?\d+\.\d{6,}(e-\d+)?", lambda found: f"{float(found[0]):.5f}", str(said))


CHANGES = {
    "a path": "UPDATE files SET path = CAST('/elsewhere' AS BLOB) WHERE id = 3",
    "a date of a file": "UPDATE files SET mtime_ns = mtime_ns + 1 WHERE id = 3",
    "a passage": "UPDATE items SET text = 'other' WHERE text != ''",
    "a caption": "UPDATE photos SET caption = 'other' WHERE file_id = 3",
    "a date": "UPDATE photos SET taken = '2018-01-01T00:00:00' WHERE file_id = 3",
    "a keyword": "UPDATE tags SET tag = 'other' WHERE file_id = 3 AND tag = 'holiday'",
    "an inode": "UPDATE files SET inode = inode + 1 WHERE id = 3",
    "a file that is missing": "UPDATE files SET missing = 1 WHERE id = 3",
    "a folder": "UPDATE folders SET mounted = NOT mounted",
    "a folder that is gone": "DELETE FROM folders",
    "a root": "UPDATE roots SET path = CAST('/elsewhere' AS BLOB)",
    "a counter": "UPDATE meta SET value = '1' WHERE key = 'next_id'",
    "a model": "UPDATE meta SET value = 'other' WHERE key = 'fingerprint'",
    "a unit of scores": "UPDATE meta SET value = replace(value, '1', '2') WHERE key LIKE 'mom%'",
    "a word": "UPDATE words_content SET c0 = 'other' WHERE id = 3",
    "a missing row": "DELETE FROM tags WHERE file_id = 3",
    "a checksum": "UPDATE sums SET rows = 1 WHERE file_id = 3",
    "the copy of the facts": "UPDATE meta SET value = value || ' ' WHERE key = 'copy'",
}


@pytest.mark.parametrize("statement", CHANGES.values(), ids=CHANGES.keys())
def test_a_changed_row_is_found_and_mended(folder: Path, statement: str) -> None:
    whole = answers(folder)
    _execute(folder, statement)
    assert [finding.grave for finding in check(folder)] == [True]
    done = repair(folder)
    assert done.left == ()
    assert done.dropped <= 16  # of the 34 files
    if not done.dropped:
        assert _rounded(answers(folder)) == _rounded(whole)


def test_the_full_text_index_is_made_again(folder: Path) -> None:
    whole = answers(folder)
    _execute(folder, "UPDATE words_data SET block = zeroblob(length(block)) WHERE id > 10")
    (finding,) = check(folder)
    assert "the full-text index does not match the texts" in finding.fault
    assert repair(folder).dropped == 0
    assert check(folder) == []
    assert _rounded(answers(folder)) == _rounded(whole)


def test_a_schema_that_is_no_text_is_damage(folder: Path) -> None:
    path = folder / "catalog.sqlite"
    data = bytearray(path.read_bytes())
    data[data.index(b"CREATE INDEX ix_files_digest ON files (digest)") + 40] ^= 0x80
    path.write_bytes(data)
    with pytest.raises(LibraryDamaged, match=r"is broken \(one of its texts is not UTF-8\)"):
        Library.open(folder)
    assert repair(folder).dropped == 0


def _overwrite(folder: Path, at: int, data: bytes) -> None:
    """Change bytes of the catalog."""
    path = folder / "catalog.sqlite"
    path.write_bytes(path.read_bytes()[:at] + data + path.read_bytes()[at + len(data) :])


TABLES = ("meta", "roots", "files", "items", "photos", "tags", "sums")


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("wrong", [b"CREATE TABL\\", b"CREATE TABLE _"])
def test_a_table_whose_definition_is_broken_is_read(folder: Path, table: str, wrong: bytes) -> None:
    at = (folder / "catalog.sqlite").read_bytes().index(f"CREATE TABLE {table}".encode())
    _overwrite(folder, at, wrong)
    assert [finding.grave for finding in check(folder)] == [True]
    assert repair(folder).dropped == 0
    assert check(folder) == []


@pytest.mark.parametrize(("at", "length"), [(0, 16), (16, 84), (100, 8), (0, 4096), (4096, 8)])
def test_a_catalog_whose_first_pages_are_broken_is_mended(
    folder: Path, at: int, length: int
) -> None:
    roots = [path.name for path in Library.open(folder).info().folders]
    _overwrite(folder, at, b"\xa5" * length)
    assert repair(folder).left == ()
    with Library.open(folder) as library:
        assert [path.name for path in library.info().folders] == roots
        assert index_folders(library, ENCODER, library.info().folders).skipped == ()
        assert list(library.counts().values()) == [31, 15]


def test_a_catalog_without_facts_is_beyond_mending(folder: Path) -> None:
    Damage(path="catalog.sqlite", length=5000).inflict(folder)
    with pytest.raises(LibraryDamaged, match="cannot be repaired"):
        repair(folder)


@pytest.mark.parametrize("number", [1, 400_000_000, 2**39, 2**63 - 1])
def test_an_index_that_claims_much_is_not_opened(folder: Path, number: int) -> None:
    whole = answers(folder)
    path = min((folder / "ann").glob("photo*"))
    data = bytearray(path.read_bytes())
    rows = int.from_bytes(data[8:16], "little")
    at = data.rindex(rows.to_bytes(8, "little") + (1).to_bytes(8, "little"))
    data[at : at + 8] = number.to_bytes(8, "little")
    path.write_bytes(data)
    assert answers(folder) == whole
    assert [fault for fault in found(folder) if path.name in fault]
    assert repair(folder).left == ()


@pytest.mark.parametrize("value", [b"\x00\x7e", b"\x00\x7c"], ids=["no number", "infinite"])
def test_a_vector_that_is_not_finite_costs_itself_alone(folder: Path, value: bytes) -> None:
    whole = answers(folder)
    path = folder / "vectors" / "000001.safetensors"
    data = path.read_bytes()
    at = 8 + int.from_bytes(data[:8], "little") + 8 * 30  # behind the ids
    path.write_bytes(data[: at + 4] + value + data[at + 6 :])
    with Library.open(folder) as library:
        hits = Searcher(library, ENCODER).search("red", kind=Kind.PHOTO, top=0)
    assert len(hits) == 31
    assert all(hit.match is not None and 0 <= hit.match <= 1 for hit in hits)
    assert len(answers(folder)) == len(whole)
    assert [finding.path for finding in check(folder)][:1] == [path]


def test_tokens_that_changed_are_computed_again(bench: Bench) -> None:
    bench.restore()
    size = (bench.folder / "tokens.bin").stat().st_size
    Damage(path="tokens.bin", bit=8 * (size - 20)).inflict(bench.folder)
    (finding,) = check(bench.folder)
    assert (finding.fault, finding.grave) == (
        "is broken (the checksums of 1 photos do not match)",
        False,
    )
    repair(bench.folder)
    assert check(bench.folder) == []
    with Library.open(bench.folder) as library:
        ids = library.catalog.item_ids(Kind.PHOTO).tolist()
        kept = library.patch_tokens.read(ids, bench.shape)
    assert [tokens is None for tokens in kept].count(True) == 1


def test_a_learned_name_that_changed_is_named(folder: Path) -> None:
    path = min((folder / "concepts").iterdir())
    data = bytearray(path.read_bytes())
    data[data.index(b"Mia")] ^= 1
    path.write_bytes(data)
    (fault,) = found(folder)
    assert "its checksum does not match" in fault


def test_broken_banks_are_made_again_by_their_model_alone(folder: Path) -> None:
    whole = answers(folder)
    Damage(path="banks.safetensors", bit=8 * 2000).inflict(folder)
    other = ColourEncoder(generic={kind: ["black"] * 128 for kind in Kind})
    with Library.open(folder) as library:
        assert not library.restore_banks(other)
        assert library.restore_banks(ENCODER)
    assert (check(folder), answers(folder)) == ([], whole)


@pytest.mark.parametrize("name", ["catalog.sqlite", "banks.safetensors", "vectors"])
def test_a_broken_unfinished_set_is_begun_anew(folder: Path, name: str) -> None:
    other = ColourEncoder(name="other", fingerprint="other", generic=ENCODER._generic)
    with Library.create(folder / NEXT, other) as unfinished:
        index_folders(unfinished, other, [folder.parent / "photos"])
    path = folder / NEXT / name
    path = min(path.iterdir()) if path.is_dir() else path
    data = path.read_bytes()
    at = data.index(b"red-red") if name == "catalog.sqlite" else len(data) - 9
    Damage(path=str(path), bit=8 * at).inflict(folder)
    (finding,) = check(folder)
    assert (finding.path, finding.grave) == (folder / NEXT, False)
    assert finding.fault.endswith("and broken")
    assert reindex(folder, other).photos == 31
    assert check(folder) == []


def test_no_room_for_a_check_is_no_damage(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(folder / "missing"))
    with pytest.raises(TwinlensError, match="to check its full-text index") as caught:
        check(folder)
    assert not isinstance(caught.value, LibraryDamaged)
