"""The contact sheet, read back by an HTML parser."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image

from indexer.types import Kind
from retrieval.report import Row, contact_sheet

EXIF_ORIENTATION, TURNED_RIGHT = 0x0112, 6


@dataclass(frozen=True, kw_only=True)
class Found:
    """One answer, as a search gives it."""

    rank: int
    path: Path
    kind: Kind = Kind.PHOTO
    text: str = ""
    score: float = 0.25
    match: float | None = None
    time: float | None = None


@dataclass
class Page(HTMLParser):
    """Every tag with its attributes, and the visible text."""

    tags: list[tuple[str, dict[str, str | None]]] = field(default_factory=list)
    words: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words += data.split()

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]

    @property
    def text(self) -> str:
        return " ".join(self.words)


def page_of(tmp_path: Path, *rows: Row, title: str = "A title") -> Page:
    """Write a sheet and parse it."""
    contact_sheet(rows, tmp_path / "sheet.html", title=title)
    page = Page()
    page.feed((tmp_path / "sheet.html").read_text(encoding="utf-8"))
    return page


def decoded(image: dict[str, str | None]) -> Image.Image:
    """The picture inside an `<img>`."""
    head, _, data = (image["src"] or "").partition(",")
    assert head == "data:image/jpeg;base64"
    return Image.open(io.BytesIO(base64.b64decode(data)))


@pytest.fixture
def red(tmp_path: Path) -> Path:
    """A wide red photo."""
    Image.new("RGB", (1200, 600), "red").save(tmp_path / "red.png")
    return tmp_path / "red.png"


def test_words_with_photos(tmp_path: Path, red: Path) -> None:
    page = page_of(tmp_path, Row(words="a red square", answers=[Found(rank=1, path=red)]))
    assert "a red square" in page.text
    assert f"1 red.png 0.250 {tmp_path.name}" in page.text  # copies have one name in two folders
    (image,) = page.named("img")
    assert decoded(image).size == (480, 240)
    assert decoded(image).getpixel((5, 5)) == pytest.approx((254, 0, 0), abs=2)


def test_photos_stand_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[EXIF_ORIENTATION] = TURNED_RIGHT
    Image.new("RGB", (90, 60)).save(tmp_path / "turned.jpg", exif=exif)
    page = page_of(
        tmp_path, Row(words="any", answers=[Found(rank=1, path=tmp_path / "turned.jpg")])
    )
    assert decoded(page.named("img")[0]).size == (60, 90)


def test_photo_query_with_texts(tmp_path: Path, red: Path) -> None:
    answers = [Found(rank=1, kind=Kind.TEXT, path=Path("x/list.txt"), text="it is red", score=0.5)]
    page = page_of(tmp_path, Row(photo=red, answers=answers))
    assert len(page.named("img")) == 1  # the question
    assert "1 it is red 0.500 list.txt" in page.text


def test_a_missing_photo_leaves_a_tile_with_the_reason(tmp_path: Path) -> None:
    page = page_of(tmp_path, Row(words="any", answers=[Found(rank=1, path=tmp_path / "gone.jpg")]))
    assert page.named("img") == []
    assert "no such file or directory 1 gone.jpg" in page.text


def test_everything_is_escaped(tmp_path: Path) -> None:
    attack = "<script>alert('x')</script>"
    path = tmp_path / f'"><b>{attack.replace("/", "")}.jpg'
    texts = Found(rank=2, kind=Kind.TEXT, path=path, text=attack)
    page = page_of(
        tmp_path, Row(words=attack, answers=[Found(rank=1, path=path), texts]), title=attack
    )
    assert page.named("script") == []
    assert page.named("b") == []
    assert page.text.count("alert('x')") == 6  # title twice, query, two names, text


def test_it_fetches_and_links_nothing(tmp_path: Path, red: Path) -> None:
    page = page_of(tmp_path, Row(photo=red, answers=[Found(rank=1, path=red)]))
    assert {"script", "link", "iframe"}.isdisjoint(tag for tag, _ in page.tags)
    sources = [
        value
        for _, attributes in page.tags
        for name, value in attributes.items()
        if name in {"src", "href"}
    ]
    assert all((value or "").startswith("data:") for value in sources)
    assert "http" not in (tmp_path / "sheet.html").read_text(encoding="utf-8")


def test_nothing_found_is_said(tmp_path: Path) -> None:
    assert "Nothing found." in page_of(tmp_path, Row(words="any", answers=[])).text


def test_light_and_dark(tmp_path: Path) -> None:
    page = page_of(tmp_path)
    assert {"name": "color-scheme", "content": "light dark"} in page.named("meta")
