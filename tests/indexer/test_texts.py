"""A file becomes passages, or a reason why not."""

from __future__ import annotations

from pathlib import Path

import pytest

from indexer.errors import FileUnreadable
from indexer.texts import MAX_SKIPS, read_passages


def _read(name: str, data: str | bytes) -> tuple[str, ...]:
    return read_passages(Path(name), data if isinstance(data, bytes) else data.encode()).passages


def _reasons(name: str, data: str) -> list[str]:
    return [skip.reason for skip in read_passages(Path(name), data.encode()).skipped]


def test_lines_without_blanks_between_are_captions() -> None:
    assert _read("a.txt", "a red car\r\n  a blue sky \n") == ("a red car", "a blue sky")


def test_blank_lines_make_paragraphs() -> None:
    assert _read("a.txt", "one\ntwo\n\n\nthree\n") == ("one two", "three")


def test_a_byte_order_mark_is_dropped() -> None:
    assert _read("a.txt", b"\xef\xbb\xbfred") == ("red",)


def test_markdown_loses_its_marks() -> None:
    text = "# Summer\n\n> by the sea\n\n- red boat\n- blue boat\n"
    assert _read("a.md", text) == ("Summer", "by the sea", "red boat blue boat")


def test_a_long_paragraph_is_cut_into_even_windows() -> None:
    words = [f"w{number}" for number in range(120)]
    passages = _read("a.txt", " ".join(words))
    assert [len(passage.split()) for passage in passages] == [40, 40, 40]
    assert " ".join(passages).split() == words


def test_jsonl_fields() -> None:
    rows = '{"captions": ["a", "b"], "id": 3}\n\n{"title": "c", "description": "d"}\n{"text": "e"}'
    assert _read("a.jsonl", rows) == ("a", "b", "c", "d", "e")


def test_bad_jsonl_rows_are_skipped_with_their_line() -> None:
    rows = '{"text": "kept"}\n{"text": \n[1]\n{"text": 7}\n{"text": "kept too"}'
    assert _read("a.jsonl", rows) == ("kept", "kept too")
    assert _reasons("a.jsonl", rows) == [
        "line 2: not JSON",
        "line 3: not a JSON object",
        "line 4: no text under any of: captions, caption, text, title, description",
    ]


def test_csv_columns_and_bad_rows() -> None:
    table = 'id,Caption\n1,"red, and\nblue"\n2\n3,green\n4,\n'
    assert _read("a.csv", table) == ("red, and blue", "green")
    assert _reasons("a.csv", table) == [
        "line 4: 1 cells under 2 columns",
        "line 6: no text under any of: captions, caption, text, title, description",
    ]


def test_a_table_without_a_text_column_is_refused() -> None:
    with pytest.raises(FileUnreadable, match=r"^no column is called any of: captions, caption"):
        _read("a.csv", "id,score\n1,2\n")


def test_many_bad_rows_are_counted() -> None:
    reasons = _reasons("a.jsonl", "x\n" * (MAX_SKIPS + 7))
    assert len(reasons) == MAX_SKIPS + 1
    assert reasons[-1] == "and 7 more lines"


def test_half_a_surrogate_pair_is_replaced() -> None:
    assert _read("a.jsonl", '{"text": "odd \\ud83d sign"}') == ("odd ? sign",)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty file"),
        (b" \n\n", "no text in it"),
        (b"caf\xe9", "not UTF-8 (byte 3)"),
        (b"PK\0\0", "not a text: it holds zero bytes"),
    ],
)
def test_refusals(data: bytes, reason: str) -> None:
    with pytest.raises(FileUnreadable) as caught:
        _read("a.txt", data)
    assert str(caught.value) == reason


def test_a_file_is_read_up_to_the_cap(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("0123456789")
    assert read_passages(path, max_bytes=10).passages == ("0123456789",)
    with pytest.raises(FileUnreadable, match=r"^a text of more than 9e-06 MB$"):
        read_passages(path, max_bytes=9)
    with pytest.raises(FileUnreadable, match=r"^no such file or directory$"):
        read_passages(tmp_path / "gone.txt")
