"""Words, files, and what is neither."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from indexer.core.types import Kind
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
    with pytest.raises(QueryInvalid, match="is not a file"):
        parse_query(str(tmp_path))


@pytest.mark.parametrize(
    ("data", "reason"), [(b"", "empty file"), (b"\xff\xfe\x41", "UTF-16"), (b"\xc3\x28", "UTF-8")]
)
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


def test_an_open_picture_is_a_photo_and_a_term() -> None:
    picture = Image.new("RGB", (8, 8))
    assert parse_query(picture) == Query(kind=Kind.PHOTO, photo=picture)
    photo, words = parse_query(picture, "-", "at night").terms
    assert (photo.query.photo, photo.weight) == (picture, 1.0)
    assert (words.query.text, words.weight) == ("at night", -1.0)


@pytest.mark.parametrize("shape", [(6, 4), (6, 4, 3), (6, 4, 4)])
def test_an_array_of_pixels_is_a_photo(shape: tuple[int, ...]) -> None:
    photo = parse_query(np.zeros(shape, dtype=np.uint8)).photo
    assert photo is not None
    assert photo.size == (4, 6)


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (7, "not int"),
        (None, "not None"),
        (b"x", "not bytes; open them first: PIL.Image.open"),
        (["a", "b"], "not list; several terms are pieces of one query"),
        ({"a": 1}, "not dict"),
        (np.zeros(3, dtype=np.uint8), "an array of uint8 and shape (3,) is not a picture"),
        (np.zeros((4, 4, 2), dtype=np.uint8), "shape (4, 4, 2) is not a picture; give uint8"),
        (np.zeros((4, 4, 3)), "an array of float64 and shape (4, 4, 3) is not a picture"),
        (np.zeros((0, 4, 3), dtype=np.uint8), "has no pixels"),
    ],
)
def test_other_types_are_refused_with_what_is_accepted(value: object, told: str) -> None:
    with pytest.raises(QueryInvalid) as caught:
        parse_query(value)  # type: ignore[arg-type]
    assert told in str(caught.value)


@pytest.mark.parametrize(
    "written",
    ["https://example.org/a.jpg", "HTTP://x.y", "www.example.org", "like https://a.b/c", "ftp://a"],
)
def test_an_address_on_the_web_is_refused(written: str) -> None:
    with pytest.raises(QueryInvalid, match="download the photo and search with the file"):
        parse_query(written)
    assert parse_query(f'"{written}"').text == written


@pytest.mark.parametrize(
    "written",
    ['"a beach without people"', '"beach - people"', '"no 7 + after:2019"'],
)
def test_words_in_quotes_are_taken_as_they_stand(written: str) -> None:
    assert parse_query(written) == Query(kind=Kind.TEXT, text=written[1:-1])
    assert parse_query(written, "tag:a").text == written[1:-1]


def test_wide_and_decomposed_letters_are_those_that_a_model_reads() -> None:
    assert parse_query("ｄｏｇ cafe\u0301").text == "dog café"
