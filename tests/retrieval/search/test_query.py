"""Words, files, and what is neither."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from indexer.types import Kind
from retrieval.errors import QueryInvalid
from retrieval.search import Query, parse_query


@pytest.fixture
def photo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A photo called `a b.jpg` in the current folder, which is also the home."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    path = tmp_path / "a b.jpg"
    Image.new("RGB", (8, 8)).save(path)
    return path


def test_words_are_words_with_single_spaces() -> None:
    assert parse_query("  a cat\n on a sofa ") == Query(kind=Kind.TEXT, text="a cat on a sofa")


@pytest.mark.parametrize("written", ["./a b.jpg", "~/a b.jpg", "../{folder}/a b.jpg"])
def test_what_looks_like_a_path_is_a_photo(written: str, photo: Path) -> None:
    query = parse_query(written.format(folder=photo.parent.name))
    assert query.kind == Kind.PHOTO
    assert query.path is not None
    assert query.path.samefile(photo)


def test_absolute_paths_and_file_addresses_are_photos(photo: Path) -> None:
    expected = Query(kind=Kind.PHOTO, path=photo)
    assert parse_query(str(photo)) == expected
    assert parse_query(photo.as_uri()) == expected  # the space is %20 in it
    assert parse_query(photo) == expected


def test_a_path_object_is_a_file_even_without_a_mark(photo: Path) -> None:
    assert parse_query(Path("a b.jpg")) == Query(kind=Kind.PHOTO, path=Path("a b.jpg"))


def test_a_text_file_asks_with_its_words(tmp_path: Path) -> None:
    note = tmp_path / "note.txt"
    note.write_text("a red car\nin the rain\n", encoding="utf-8")
    assert parse_query(str(note)) == Query(kind=Kind.TEXT, text="a red car in the rain", path=note)


def test_words_that_name_a_file_get_a_hint(photo: Path) -> None:
    query = parse_query("a b.jpg")
    assert query.kind == Kind.TEXT
    assert query.hint == "searching for the words; 'a b.jpg' is also a file here: ./a b.jpg"


@pytest.mark.parametrize("written", ["x" * 5000, "a\0b"])
def test_words_that_cannot_name_a_file_get_no_hint(written: str) -> None:
    assert parse_query(written).hint == ""


@pytest.mark.parametrize("written", ["", "   ", "\n\t"])
def test_an_empty_query_is_refused(written: str) -> None:
    with pytest.raises(QueryInvalid, match="query is empty"):
        parse_query(written)


@pytest.mark.parametrize("written", ["./gone.jpg", "/gone/away.jpg", "file:///gone%20away.jpg"])
def test_a_missing_file_is_named(written: str) -> None:
    with pytest.raises(QueryInvalid, match=r"no file at '.*gone.*\.jpg'"):
        parse_query(written)


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(QueryInvalid, match="is no file"):
        parse_query(str(tmp_path))


@pytest.mark.parametrize(("data", "reason"), [(b"", "empty file"), (b"\xff\xfe\x41", "UTF-8")])
def test_a_text_file_without_words_is_refused(tmp_path: Path, data: bytes, reason: str) -> None:
    note = tmp_path / "note.txt"
    note.write_bytes(data)
    with pytest.raises(QueryInvalid, match=reason):
        parse_query(note)


@pytest.mark.parametrize("written", ['"two dogs"', "“two dogs”", "„two dogs“", "«two dogs»"])
def test_quotes_around_all_are_no_words(written: str) -> None:
    assert parse_query(written).text == "two dogs"


@pytest.mark.parametrize("written", ['a sign "stop"', '"a" or "b"', '"', '""'])
def test_other_quotes_stay(written: str) -> None:
    assert parse_query(written).text == written


def test_filters_are_kept_as_they_were_written() -> None:
    query = parse_query("red after:2019", filters=[("in", "summer 2019"), ("-tag", "work")])
    assert query.filters == 'after:2019 in:"summer 2019" -tag:work'


def test_bytes_that_are_no_utf_8_are_replaced() -> None:
    # A model's tokenizer refuses half a surrogate pair.
    assert parse_query("caf\udce9").text == "caf\ufffd"
    assert parse_query("a - caf\udce9").terms[1].query.text == "caf\ufffd"
