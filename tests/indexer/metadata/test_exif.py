"""Texts of EXIF, in each character set and byte order."""

from __future__ import annotations

import struct

import pytest
from PIL import Image

from indexer.metadata.exif import from_exif
from indexer.metadata.source import SourceMetadata

COMMENT, XP_TITLE, XP_COMMENT, XP_KEYWORDS, XP_SUBJECT = 0x9286, 0x9C9B, 0x9C9C, 0x9C9E, 0x9C9F
WORDS = "heron in the reeds"


def tiff(order: str, *tags: tuple[int, int, bytes], details: bool = False) -> bytes:
    """Lay out EXIF in a byte order, the tags in its first directory or in that of the details."""
    entries, values = b"", b""
    start = 8 + 2 + 12 + 4 if details else 8
    after = start + 2 + 12 * len(tags) + 4
    for tag, kind, value in sorted(tags):
        entries += struct.pack(f"{order}HHII", tag, kind, len(value), after + len(values))
        values += value
    directory = struct.pack(f"{order}H", len(tags)) + entries + struct.pack(f"{order}I", 0)
    head = {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(f"{order}I", 8)
    if details:
        head += struct.pack(f"{order}HHHIII", 1, 0x8769, 4, 1, start, 0)
    return b"Exif\0\0" + head + directory + values


def said(data: bytes) -> SourceMetadata:
    exif = Image.Exif()
    exif.load(data)
    return from_exif(exif)


def comment(order: str, body: bytes) -> str:
    return said(tiff(order, (COMMENT, 7, body), details=True)).caption


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("words", [WORDS, "Café am See", "葦の中の鷺", "цапля", "一二三"])
def test_a_comment_in_utf_16_has_the_byte_order_of_its_exif(order: str, words: str) -> None:
    encoding = {"<": "utf-16-le", ">": "utf-16-be"}[order]
    assert comment(order, b"UNICODE\0" + words.encode(encoding)) == words
    assert comment(order, b"UNICODE\0" + words.encode(encoding) + b"\0\0") == words
    assert comment(order, b"UNICODE\0" + words.encode("utf-16")) == words  # with a mark


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("words", [WORDS, "a"])
def test_a_comment_in_the_wrong_byte_order_is_read_all_the_same(order: str, words: str) -> None:
    wrong = {"<": "utf-16-be", ">": "utf-16-le"}[order]
    assert comment(order, b"UNICODE\0" + words.encode(wrong)) == words


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"ASCII\0\0\0" + WORDS.encode(), WORDS),
        (b"ASCII\0\0\0" + "Café".encode(), "Café"),
        (b"ASCII\0\0\0" + "Café".encode("latin-1"), "Café"),
        (b"\0" * 8 + WORDS.encode(), WORDS),
        (WORDS.encode(), WORDS),  # without a character set
        (b"JIS\0\0\0\0\0" + "葦の中の鷺".encode("iso2022_jp"), "葦の中の鷺"),
        (b"JIS\0\0\0\0\0" + "葦の中の鷺".encode("shift_jis"), "葦の中の鷺"),
        (b"ASCII\0\0\0" + b"\0" * 50, ""),
        (b"\0" * 64, ""),
        (b"\0" * 8 + bytes(range(128, 160)), ""),  # a camera's own bytes
        (b"ASCII\0\0\0" + b"SONY DSC", ""),
        (b"", ""),
    ],
)
def test_the_other_character_sets_of_a_comment(order: str, body: bytes, words: str) -> None:
    assert comment(order, body) == words


@pytest.mark.parametrize("order", ["<", ">"])
def test_windows_writes_its_low_byte_first_in_any_exif(order: str) -> None:
    told = said(
        tiff(
            order,
            (XP_TITLE, 1, "Ein Titel".encode("utf-16-le") + b"\0\0"),
            (XP_COMMENT, 1, WORDS.encode("utf-16-le")),
            (XP_KEYWORDS, 1, "café; Rome;;鷺".encode("utf-16-le")),
        )
    )
    assert (told.title, told.caption, told.keywords) == (
        "Ein Titel",
        WORDS,
        ("café", "Rome", "鷺"),
    )
    swapped = said(tiff(order, (XP_SUBJECT, 1, WORDS.encode("utf-16-be"))))
    assert swapped.caption == WORDS


@pytest.mark.parametrize(
    "description", ["iPhone 12", "Apple iPhone 12", "APPLE", "KONICA MINOLTA DIGITAL CAMERA"]
)
def test_the_name_of_a_camera_is_no_caption(description: str) -> None:
    tags = ((0x010F, 2, b"Apple\0\0\0"), (0x0110, 2, b"iPhone 12\0"))
    told = said(tiff(">", (0x010E, 2, description.encode() + b"\0\0\0"), *tags))
    assert (told.caption, told.camera) == ("", "Apple iPhone 12")
    written = said(tiff(">", (0x010E, 2, b"My new iPhone 12\0"), *tags))
    assert written.caption == "My new iPhone 12"  # a person wrote that


def test_what_was_asked_to_be_absent_is_no_word_of_a_picture() -> None:
    asked = f"{WORDS}\nNegative prompt: a dog, blurry\nSteps: 20, Sampler: Euler a"
    assert comment(">", b"UNICODE\0" + asked.encode("utf-16-be")) == WORDS
