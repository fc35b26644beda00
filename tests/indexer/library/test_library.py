"""A library: make, open, commit, search, one writer, many readers."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from indexer.catalog.changes import FileState, Move
from indexer.core.errors import (
    LibraryDamaged,
    LibraryLocked,
    LibraryMissing,
    ModelMismatch,
    TwinlensError,
    UsageError,
)
from indexer.core.types import Hubness, Kind, SegmentRow
from indexer.library.batch import BatchEntry, IndexBatch
from indexer.library.library import Library
from indexer.library.verify import check
from indexer.vectors.segments import Segment, SegmentStore
from tests.fakes import GENERIC, ColourEncoder

ENCODER = ColourEncoder()


def _entry(name: str, *texts: str) -> BatchEntry:
    """A text file of these passages."""
    state = FileState(
        path=Path("/" + name),
        kind=Kind.TEXT,
        size=1,
        mtime_ns=1,
        digest=name.encode(),
        reader="r",
    )
    return BatchEntry(state=state, texts=texts, vectors=ENCODER.encode_texts(texts))


def _found(library: Library, query: str, k: int = 10) -> list[str]:
    """What a query finds with a score above 0."""
    (hits,) = library.search(ENCODER.encode_texts([query]), Kind.TEXT, k)
    return [record.text for record in library.records([hit.id for hit in hits if hit.score > 0])]


def _files(library: Library) -> list[str]:
    folders = (library.folder / "vectors", library.folder / "ann")
    return sorted(path.name for folder in folders for path in folder.glob("*"))


def test_search_sees_each_commit(library: Library) -> None:
    assert library.search(ENCODER.encode_texts(["red"]), Kind.TEXT, 3) == [[]]
    library.commit(IndexBatch(entries=[_entry("a", "red", "blue"), _entry("b", "red red green")]))
    assert _found(library, "red") == ["red", "red red green"]
    library.commit(IndexBatch(entries=[_entry("c", "a red hat")]))
    assert _found(library, "red") == ["red", "a red hat", "red red green"]
    library.commit(IndexBatch(removed=list(library.catalog.files_below([Path("/a")]))))
    assert _found(library, "red") == ["a red hat", "red red green"]
    assert _found(library, "red", 1) == ["a red hat"]
    assert library.counts() == {Kind.PHOTO: 0, Kind.TEXT: 2}


def test_scores_are_cosines(library: Library) -> None:
    library.commit(IndexBatch(entries=[_entry("a", "red blue")]))
    (hits,) = library.search(ENCODER.encode_texts(["red"]), Kind.TEXT, 1)
    assert hits[0].score == float(np.float16(np.sqrt(0.5)))


def test_excluded_ids_and_vectors(library: Library) -> None:
    library.commit(IndexBatch(entries=[_entry("a", "red", "red blue")]))
    queries = ENCODER.encode_texts(["red"])
    assert [hit.id for hit in library.search(queries, Kind.TEXT, 5)[0]] == [1, 2]
    hits = library.search(queries, Kind.TEXT, 5, excluded=np.array([1]))[0]
    assert [hit.id for hit in hits] == [2]
    assert library.fetch([1], Kind.TEXT).tolist() == queries.tolist()


def test_hubness_costs_a_share_of_the_score(tmp_path: Path) -> None:
    encoder = ColourEncoder(generic=GENERIC, hubness=Hubness(k=3))
    texts = ("red", "red blue", "green")
    queries, vectors = encoder.encode_texts(["red green", "blue"]), encoder.encode_texts(texts)
    cosines = np.sort(vectors @ encoder.bank(Kind.PHOTO).T, axis=1)
    hubs = cosines[:, -3:].mean(axis=1)
    with Library.create(tmp_path / "corrected", encoder) as library:
        library.commit(IndexBatch(entries=[_entry("a", *texts)]))
        for alpha in (0.0, 0.5, 2.0):
            wanted = queries @ vectors.T - alpha * hubs
            for row, hits in zip(
                wanted, library.search(queries, Kind.TEXT, 9, alpha=alpha), strict=True
            ):
                found = {hit.id: hit.score for hit in hits}
                np.testing.assert_allclose([found[id_] for id_ in (1, 2, 3)], row, atol=2e-3)
        fetched = library.fetch([3, 1], Kind.TEXT)
    np.testing.assert_allclose(fetched, vectors[[2, 0]], atol=1e-3)


def test_info_tells_what_is_corrected(tmp_path: Path, library: Library) -> None:
    assert library.info().hubness == ()
    with_captions = ColourEncoder(generic={Kind.TEXT: ["red"]})
    with Library.create(tmp_path / "captions", with_captions) as corrected:
        assert corrected.info().hubness == (Kind.PHOTO,)


def test_banks_that_are_no_unit_vectors_make_no_library(tmp_path: Path) -> None:
    encoder = ColourEncoder()
    encoder.bank = lambda _: np.ones((2, 9), dtype=np.float32)
    with pytest.raises(TwinlensError, match="'colours' gave vectors that are not of unit length"):
        Library.create(tmp_path / "wrong", encoder)
    assert not (tmp_path / "wrong").exists()


def test_ids_are_never_issued_twice(library: Library) -> None:
    library.commit(IndexBatch(entries=[_entry("a", "red")]))
    library.commit(IndexBatch(removed=list(library.catalog.files_below([Path("/a")]))))
    library.refresh_index()
    library.commit(IndexBatch(entries=[_entry("a", "red")]))
    (hits,) = library.search(ENCODER.encode_texts(["red"]), Kind.TEXT, 5)
    assert [hit.id for hit in hits] == [2]


def test_refresh_merges_and_saves_what_pays(library: Library) -> None:
    for number in range(20):
        library.commit(IndexBatch(entries=[_entry(f"{number:02}", "red")]))
    library.refresh_index()  # no index yet: one segment, one index
    assert _files(library) == ["000021.safetensors", "text-000021.faiss"]
    library.commit(IndexBatch(entries=[_entry("20", "blue")]))
    library.refresh_index()  # a twentieth is new: left alone
    assert _files(library) == ["000021.safetensors", "000022.safetensors", "text-000021.faiss"]
    library.commit(IndexBatch(entries=[_entry("21", "blue"), _entry("22", "blue")]))
    library.refresh_index()  # more than a tenth is new
    assert _files(library) == ["000024.safetensors", "text-000024.faiss"]
    removed = library.catalog.files_below([Path(f"/{number:02}") for number in range(3)])
    library.commit(IndexBatch(removed=list(removed)))
    library.refresh_index()  # more than a tenth was deleted
    assert _files(library) == ["000025.safetensors", "text-000025.faiss"]
    assert library.counts()[Kind.TEXT] == 20
    assert len(_found(library, "red", 99)) == 17
    assert len(_found(library, "blue", 99)) == 3


def test_a_long_tail_is_merged_without_a_new_index(library: Library) -> None:
    library.commit(IndexBatch(entries=[_entry("many", *["red"] * 200)]))
    library.refresh_index()
    for number in range(9):
        library.commit(IndexBatch(entries=[_entry(str(number), "blue")]))
    library.refresh_index()
    assert _files(library) == ["000001.safetensors", "000011.safetensors", "text-000001.faiss"]
    assert len(_found(library, "blue", 99)) == 9


def test_the_saved_index_is_used(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    library.commit(IndexBatch(entries=[_entry("a", "red", "blue")]))
    library.refresh_index()
    with Library.open(library.folder) as reader:
        monkeypatch.setattr("indexer.vectors.segments.SegmentStore.read", None)
        assert _found(reader, "red") == ["red"]


def test_readers_follow_a_writer(library: Library) -> None:
    library.commit(IndexBatch(entries=[_entry("a", "red")]))
    with Library.open(library.folder) as reader:
        assert _found(reader, "red") == ["red"]
        library.commit(IndexBatch(entries=[_entry("b", "red hat")]))
        assert _found(reader, "red") == ["red", "red hat"]
        library.refresh_index()
        assert _found(reader, "red") == ["red", "red hat"]


def test_a_reader_looks_again_when_its_segments_were_merged(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    library.commit(IndexBatch(entries=[_entry("a", "red")]))
    library.commit(IndexBatch(entries=[_entry("b", "red hat")]))
    read, looks = SegmentStore.read, []

    def merged_first(store: SegmentStore, row: SegmentRow) -> Segment:
        looks.append(row.number)
        if len(looks) == 1:  # the search has seen its commit, and not yet the files
            monkeypatch.setattr(SegmentStore, "read", read)
            library.refresh_index()
            monkeypatch.setattr(SegmentStore, "read", merged_first)
        return read(store, row)

    with Library.open(library.folder) as reader:
        monkeypatch.setattr(SegmentStore, "read", merged_first)
        assert _found(reader, "red") == ["red", "red hat"]
    assert looks[0] == 1


def test_all_that_a_search_reads_is_of_one_commit(library: Library) -> None:
    library.commit(IndexBatch(entries=[_entry("a", "red")]))
    with Library.open(library.folder) as reader:

        def read() -> list[int]:
            counts = [reader.counts()[Kind.TEXT]]
            library.commit(IndexBatch(entries=[_entry("b", "red")]))
            return [*counts, reader.counts()[Kind.TEXT], len(_found(reader, "red"))]

        assert reader.view.at_one_commit(read) == [1, 1, 1]
        assert reader.counts()[Kind.TEXT] == len(_found(reader, "red")) == 2


def test_a_damaged_file_is_read_once_where_no_commit_explains_it(library: Library) -> None:
    library.commit(IndexBatch(entries=[_entry("a", "red")]))
    looks: list[int] = []

    def read() -> None:
        looks.append(library.view.facts().generation)
        raise LibraryDamaged(library.folder, "is broken", "mend it")

    with pytest.raises(LibraryDamaged, match="is broken"):
        library.view.at_one_commit(read)
    assert len(looks) == 1


def test_an_error_of_the_reader_is_no_damage(library: Library) -> None:
    def read() -> None:
        library.view.facts()
        raise KeyError("no such item")

    with pytest.raises(KeyError):
        library.view.at_one_commit(read)
    assert library.counts() == {Kind.PHOTO: 0, Kind.TEXT: 0}


def test_no_file_of_others_is_swept(library: Library, tmp_path: Path) -> None:
    others = tmp_path / "others"
    others.mkdir()
    (others / "notes.txt").write_text("precious")
    (library.folder / "ann").symlink_to(others)
    (library.folder / "vectors").mkdir(exist_ok=True)
    (library.folder / "vectors" / "._000001").touch()
    (library.folder / "vectors" / "a folder").mkdir()
    (library.folder / "banks.txt").touch()
    with library.writing():
        pass
    assert (others / "notes.txt").read_text() == "precious"
    assert (library.folder / "vectors" / "._000001").exists()
    assert (library.folder / "banks.txt").exists()
    assert check(library.folder) == []


def test_orphans_are_swept_by_the_next_writer(library: Library) -> None:
    library.commit(IndexBatch(entries=[_entry("a", "red")]))
    library.refresh_index()
    (library.folder / "vectors" / "000007.safetensors").write_bytes(b"of a killed writer")
    (library.folder / "vectors" / "000008.safetensors.part").write_bytes(b"half")
    (library.folder / "ann" / "photo-000007.faiss").write_bytes(b"old")
    with Library.open(library.folder) as again, again.writing():
        assert _files(library) == ["000001.safetensors", "text-000001.faiss"]


def test_moves_and_roots(library: Library) -> None:
    library.commit(IndexBatch(entries=[_entry("a", "red")], roots=[Path("/photos")]))
    move = Move(file_id=1, path=Path("/b"), mtime_ns=3)
    library.commit(IndexBatch(moves=[move], roots=[Path("/photos"), Path("/more")]))
    assert [record.path for record in library.records([1])] == [Path("/b")]
    info = library.info()
    assert (info.photos, info.texts, info.skipped) == (0, 1, 0)
    assert info.folders == (Path("/more"), Path("/photos"))
    assert (info.model, info.fingerprint, info.dim, info.format) == ("colours", "c0105", 9, 6)
    assert info.bytes == sum(path.stat().st_size for path in library.folder.rglob("*.*"))


def test_forget_drops_a_folder(library: Library) -> None:
    library.commit(
        IndexBatch(entries=[_entry("p/a", "red"), _entry("q", "red")], roots=[Path("/p")])
    )
    assert library.forget(Path("/p")) == 1
    assert _found(library, "red") == ["red"]
    assert library.info().folders == ()


def test_no_library_is_said_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(LibraryMissing) as caught:
        Library.open(tmp_path / "x")
    folder = tmp_path / "x"
    wanted = f"no library at '{folder}'; build one with: twinlens index FOLDER --library {folder}"
    assert str(caught.value) == wanted


def test_create_refuses_a_folder_with_other_files(tmp_path: Path, library: Library) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").write_bytes(b"x")
    for folder in (tmp_path / "photos", library.folder):
        with pytest.raises(UsageError, match="is not empty; name a new or an empty folder"):
            Library.create(folder, ENCODER)
    with pytest.raises(UsageError, match="is a file; a library is a folder"):
        Library.create(tmp_path / "photos" / "a.jpg", ENCODER)


def test_create_goes_on_where_a_killed_one_stopped(tmp_path: Path) -> None:
    (tmp_path / "lock").touch()
    (tmp_path / "catalog.sqlite.part").write_bytes(b"half")
    (tmp_path / "catalog.sqlite.part-wal").write_bytes(b"half")
    (tmp_path / "banks.safetensors").write_bytes(b"whole, and named by no catalog")
    (tmp_path / "banks.safetensors.part").write_bytes(b"half")
    with Library.open_or_create(tmp_path, ENCODER) as library:
        assert library.counts() == {Kind.PHOTO: 0, Kind.TEXT: 0}


def test_a_folder_may_be_a_string(tmp_path: Path) -> None:
    folder = str(tmp_path / "named")
    for make in (Library.create, Library.open_or_create):
        make(folder, ENCODER).close()
    with Library.open(folder) as library:
        assert library.folder == tmp_path / "named"


def test_another_model_is_refused(library: Library) -> None:
    other = ColourEncoder(name="other", fingerprint="0123456789abcdef")
    with pytest.raises(ModelMismatch) as caught:
        Library.open_or_create(library.folder, other)
    assert str(caught.value) == (
        f"{library.folder} was built with the model 'colours' (c0105), not 'other' "
        "(0123456789ab); name that model with --model, another folder with --library, or change "
        "the library's model with: twinlens reindex --model"
    )
    with Library.open_or_create(library.folder, ENCODER) as again:
        again.check_model(ColourEncoder(name="another name of the same weights"))


def test_one_writer_at_a_time(library: Library) -> None:
    script = (
        "import sys; from pathlib import Path; from indexer.library.library import Library\n"
        "with Library.open(Path(sys.argv[1])) as library, library.writing():\n"
        "    print('held', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", script, str(library.folder)]
    env = os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(LibraryLocked, match=rf"by process {other.pid} since \d+ s ago; try"):
            library.commit(IndexBatch(entries=[_entry("a", "red")]))
        assert library.counts()[Kind.TEXT] == 0  # reading goes on
        other.kill()
    library.commit(IndexBatch(entries=[_entry("a", "red")]))
    assert library.counts()[Kind.TEXT] == 1


def test_a_library_in_a_read_only_place_answers(as_a_user: Path) -> None:
    with Library.create(as_a_user / "library", ENCODER) as library:
        library.commit(IndexBatch(entries=[_entry("a", "red")]))
        library.refresh_index()
    places = [library.folder, *library.folder.rglob("*")]
    for path in places:
        path.chmod(0o500 if path.is_dir() else 0o400)
    with Library.open(library.folder) as reader:
        assert _found(reader, "red") == ["red"]
        with pytest.raises(TwinlensError, match=r"cannot write to .*: Permission denied"):
            reader.commit(IndexBatch(removed=[1]))


def test_searches_in_threads(library: Library) -> None:
    library.commit(IndexBatch(entries=[_entry("a", "red", "blue")]))
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: _found(library, "red"), range(40)))
    assert answers == [["red"]] * 40
