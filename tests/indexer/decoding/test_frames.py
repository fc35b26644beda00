"""Frames between decoders and who asks them: what is none, or of another request, is refused."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from io import BytesIO
from typing import Any

import pytest
from PIL import Image

from indexer.core.file_types import MediaType
from indexer.core.resize import ImageInputSpec
from indexer.core.types import Metadata
from indexer.decoding.frames import ProtocolError, receive, send
from indexer.decoding.messages import DecodedFile, DecodeRequest, answer, seen_back

MARK, OTHER = b"12345678", b"87654321"
LOOK = DecodeRequest(form=MediaType.PICTURE, size_hint=8, max_megapixels=1, frames=4)
SEEN = DecodedFile(
    photos=(Image.new("RGB", (4, 3), "red"),), about=Metadata(keywords=("a",), width=4)
)


def _frame(mark: bytes = MARK, header: Any = None, body: bytes = b"") -> BytesIO:
    stream = BytesIO()
    send(stream, mark, header or {}, body)
    stream.seek(0)
    return stream


def test_a_frame_comes_back() -> None:
    stream = _frame(header={"a": [1, None]}, body=b"body")
    assert receive(stream, mark=MARK, most=4) == (MARK, {"a": [1, None]}, b"body")


@pytest.mark.parametrize(
    "stream",
    [
        _frame(OTHER),
        _frame(body=b"longer"),
        _frame(header=[1]),
        BytesIO(b"a library that prints, and prints, and prints"),
        BytesIO(MARK + b"\xff" * 12),
        BytesIO(MARK + (4).to_bytes(4, "little") + bytes(8) + b"nope"),
        BytesIO(MARK + (9999).to_bytes(4, "little") + bytes(8) + b"[" * 9999),
    ],
    ids=["mark", "body", "no names", "print", "lengths", "no JSON", "deep JSON"],
)
def test_what_is_no_answer_is_refused(stream: BytesIO) -> None:
    with pytest.raises(ProtocolError):
        receive(stream, mark=MARK, most=4)


@pytest.mark.parametrize("length", range(len(_frame(body=b"body").getvalue())))
def test_a_frame_that_ends_early_is_an_end(length: int) -> None:
    stream = BytesIO(_frame(body=b"body").getvalue()[:length])
    with pytest.raises(EOFError):
        receive(stream, mark=MARK, most=4)


def _told(**changes: Any) -> tuple[dict[str, Any], bytes]:
    """An answer as it comes through the pipe, with some of it changed."""
    told, pixels = answer(SEEN)
    about = changes.pop("about", {})
    plain = json.loads(json.dumps(told)) | changes
    if isinstance(plain["about"], dict):
        plain["about"] |= about
    return plain, pixels


def test_what_was_seen_comes_back() -> None:
    seen = seen_back(*_told(), LOOK)
    assert (seen.about, seen.times) == (SEEN.about, ())
    assert seen.photos[0].tobytes() == SEEN.photos[0].tobytes()


def test_counts_and_digest_come_back() -> None:
    told = _told(counts=[16, 3], remark="damaged")
    seen = seen_back(*told, replace(LOOK, counts=True))
    assert (seen.depth, seen.pages, seen.remark) == (16, 3, "damaged")
    told = answer(DecodedFile(photos=(), about=Metadata(), digest=b"0123456789abcdef"))
    assert seen_back(*told, replace(LOOK, digest=True)).digest == b"0123456789abcdef"


@pytest.mark.parametrize("counts", [[], [8], [8, 0], [8, "1"], [8, 1, 1], None])
def test_counts_that_are_none_are_refused(counts: Any) -> None:
    with pytest.raises(ProtocolError):
        seen_back(*_told(counts=counts), replace(LOOK, counts=True))


@pytest.mark.parametrize(
    "changes",
    [
        {"sizes": [[4, 4]]},
        {"sizes": [[-4, -3]]},
        {"sizes": [[4.0, 3]]},
        {"sizes": [[12, 1], [0, 7]]},
        {"sizes": [[2, 3], [2, 3]]},
        {"sizes": 7},
        {"sizes": None},
        {"times": ["x"]},
        {"times": [1.0, 2.0]},
        {"about": {"width": "4"}},
        {"about": {"latitude": "north"}},
        {"about": {"keywords": [1]}},
        {"about": {"taken": "yesterday"}},
        {"about": {"unknown": 1}},
        {"remark": None},
        {"digest": "00"},
        {"digest": 7},
    ],
)
def test_what_was_not_asked_for_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ProtocolError):
        seen_back(*_told(**changes), LOOK)


def test_a_picture_that_is_not_the_square_is_refused() -> None:
    with pytest.raises(ProtocolError):
        seen_back(*_told(), replace(LOOK, square=ImageInputSpec(size=4)))


def test_pictures_that_were_not_asked_for_are_refused() -> None:
    with pytest.raises(ProtocolError):
        seen_back(*_told(), replace(LOOK, pictures=False))
    with pytest.raises(ProtocolError):
        seen_back(*_told(digest="00" * 16), replace(LOOK, digest=True))
    assert asdict(LOOK)["one"] is False
