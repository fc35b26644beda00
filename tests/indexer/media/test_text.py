"""A file becomes passages, or a reason why not."""

from __future__ import annotations

from pathlib import Path

import pytest

from indexer.core.errors import FileUnreadable
from indexer.media.text import LONGEST_WORD, MAX_SKIPS, MOST_APART, PASSAGE_WORDS, read_passages


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


@pytest.mark.parametrize("sign", ["\u2028", "\x85", "\x0b", "\x0c", "\x1c", "\r"])
def test_no_sign_within_a_cell_ends_a_row(sign: str) -> None:
    text = f"a dog{sign}on a beach"
    assert _read("a.csv", f"image,caption\n0.jpg,{text}\n1.jpg,b\n") == ("a dog on a beach", "b")
    assert _read("a.txt", f"{text}\nb\n") == ("a dog on a beach", "b")
    if sign > "\x1f":  # JSON escapes the others
        assert _read("a.jsonl", f'{{"text": "{text}"}}\n{{"text": "b"}}') == (
            "a dog on a beach",
            "b",
        )


def test_lines_that_end_in_carriage_returns() -> None:
    assert _read("a.txt", "a red car\ra blue sky\r") == ("a red car", "a blue sky")
    assert _read("a.txt", "one\rtwo\r\rthree\r") == ("one two", "three")
    assert _read("a.csv", "id,text\r1,a\r2,b\r") == ("a", "b")


def test_an_open_quotation_mark_costs_its_own_row() -> None:
    table = 'id,text\n1,a\n2,"b\n3,c\n4,d\n'
    assert _read("a.csv", table) == ("a", "c", "d")
    assert _reasons("a.csv", table) == ["line 3: a quotation mark is not closed"]


@pytest.mark.parametrize(
    ("table", "encoding"),
    [("ID ; Caption \n1;a, b\n", "utf-8-sig"), ("id\tText\n1\ta, b\n", "utf-16")],
)
def test_tables_of_spreadsheets(table: str, encoding: str) -> None:
    assert _read("a.csv", table.encode(encoding)) == ("a, b",)


def test_utf_16_with_a_mark_is_read() -> None:
    assert _read("a.txt", "a café".encode("utf-16")) == ("a café",)
    with pytest.raises(FileUnreadable, match=r"^not UTF-16"):
        _read("a.txt", b"\xff\xfea")
    with pytest.raises(FileUnreadable, match="zero bytes"):
        _read("a.txt", "red".encode("utf-16-le"))


@pytest.mark.parametrize(
    ("name", "line", "head"),
    [
        ("a.txt", "{}\n", ""),
        ("a.md", "{}\n\n", ""),
        ("a.csv", "{}\n", "text\n"),
        ("a.jsonl", '{{"text": "{}"}}\n', ""),
    ],
)
def test_very_many_short_lines_are_joined(name: str, line: str, head: str) -> None:
    count = 3 * MOST_APART
    text = head + "".join(line.format(chr(97 + number % 26)) for number in range(count))
    passages = _read(name, text)
    assert len(passages) == MOST_APART + 2 * MOST_APART // PASSAGE_WORDS
    assert sum(len(passage.split()) for passage in passages) == count


def test_what_is_too_much_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("indexer.media.text.MOST_PASSAGES", 3)
    read = read_passages(Path("a.txt"), b"a\nb\nc\nd\ne\n")
    assert read.passages == ("a", "b", "c")
    assert [skip.reason for skip in read.skipped] == [
        "2 passages after the first 3 are left out; split the file"
    ]


def test_a_word_without_end_is_cut() -> None:
    passages = _read("a.txt", "x" * 1_000_000)
    assert "".join("".join(passages).split()) == "x" * 1_000_000
    assert max(map(len, passages)) < PASSAGE_WORDS * (LONGEST_WORD + 1)


def test_many_bad_rows_take_no_memory() -> None:
    read = read_passages(Path("a.csv"), b"id,text\n" + b"x\n" * 200_000)
    assert len(read.skipped) == MAX_SKIPS + 1
    assert read.skipped[-1].reason == f"and {200_000 - MAX_SKIPS:,} more lines"
