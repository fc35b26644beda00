"""The contact sheet, read back by an HTML parser."""

from __future__ import annotations

import base64
import hashlib
import io
import os
import re
import shutil
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote_to_bytes, urlsplit

import pytest
from PIL import Image

from indexer.core.errors import UsageError
from indexer.core.types import Kind
from retrieval.contact_sheet import SheetRow, write_contact_sheet
from tests.fakes import draw

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


def page_of(tmp_path: Path, *rows: SheetRow, title: str = "A title") -> Page:
    """Write a sheet and parse it."""
    write_contact_sheet(rows, tmp_path / "sheet.html", title=title)
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
    page = page_of(tmp_path, SheetRow(words="a red square", answers=[Found(rank=1, path=red)]))
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
        tmp_path, SheetRow(words="any", answers=[Found(rank=1, path=tmp_path / "turned.jpg")])
    )
    assert decoded(page.named("img")[0]).size == (60, 90)


def test_photo_query_with_texts(tmp_path: Path, red: Path) -> None:
    answers = [Found(rank=1, kind=Kind.TEXT, path=Path("x/list.txt"), text="it is red", score=0.5)]
    page = page_of(tmp_path, SheetRow(photo=red, answers=answers))
    assert len(page.named("img")) == 1  # the question
    assert "1 it is red 0.500 list.txt" in page.text


def test_a_missing_photo_leaves_a_tile_with_the_reason(tmp_path: Path) -> None:
    page = page_of(
        tmp_path, SheetRow(words="any", answers=[Found(rank=1, path=tmp_path / "gone.jpg")])
    )
    assert page.named("img") == []
    assert "no such file or directory 1 gone.jpg" in page.text


def test_everything_is_escaped(tmp_path: Path) -> None:
    attack = "<script>alert('x')</script>"
    path = tmp_path / f'"><b>{attack.replace("/", "")}.jpg'
    texts = Found(rank=2, kind=Kind.TEXT, path=path, text=attack)
    page = page_of(
        tmp_path, SheetRow(words=attack, answers=[Found(rank=1, path=path), texts]), title=attack
    )
    assert page.named("script") == []
    assert page.named("b") == []
    assert page.text.count("alert('x')") == 6  # title twice, query, two names, text


def test_it_fetches_nothing_and_links_to_files_alone(tmp_path: Path, red: Path) -> None:
    page = page_of(tmp_path, SheetRow(photo=red, answers=[Found(rank=1, path=red)]))
    assert {"script", "link", "iframe"}.isdisjoint(tag for tag, _ in page.tags)
    addresses = {"src": "data:image/jpeg;base64,", "href": "file:///"}
    found = [
        (value or "").startswith(addresses[name])
        for _, attributes in page.tags
        for name, value in attributes.items()
        if name in addresses
    ]
    assert found == [True] * 4  # two pictures, each a link
    written = (tmp_path / "sheet.html").read_text(encoding="utf-8")
    assert written.count("://") == written.count("file:///")


def test_its_policy_allows_its_own_style_and_nothing_else(tmp_path: Path, red: Path) -> None:
    page = page_of(tmp_path, SheetRow(words="any", answers=[Found(rank=1, path=red)]))
    (policy,) = [
        meta["content"] for meta in page.named("meta") if "Content-Security-Policy" in meta.values()
    ]
    written = (tmp_path / "sheet.html").read_text(encoding="utf-8")
    style = written.partition("<style>")[2].partition("</style>")[0]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert policy == (
        f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'; base-uri 'none'; "
        "form-action 'none'"
    )
    assert not any("style" in attributes for _, attributes in page.tags)
    assert written.index("Content-Security-Policy") < written.index("<style>")


ODD = [
    "a b",
    "a#b",
    "a?b",
    "a%20b",
    "\"'",
    "日é",
    "new\nline",
    "raw\udcff",
    "<b>&amp;",
    "semi;",
    "...",
]


@pytest.mark.parametrize("name", ODD)
def test_a_thumbnail_is_a_link_to_its_file_whatever_its_name(
    tmp_path: Path, red: Path, name: str
) -> None:
    odd = tmp_path / f"{name}.png"
    shutil.copy(red, odd)
    page = page_of(tmp_path, SheetRow(words="any", answers=[Found(rank=1, path=odd)]))
    (link,) = page.named("a")
    address = urlsplit(link["href"] or "")
    assert (address.scheme, address.netloc, address.query, address.fragment) == ("file", "", "", "")
    assert unquote_to_bytes(address.path) == os.fsencode(odd)
    assert page.named("img")[0]["alt"]


def test_what_is_gone_is_no_link_and_a_text_is_one(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("red", encoding="utf-8")
    text = Found(rank=2, kind=Kind.TEXT, path=tmp_path / "list.txt", text="red")
    gone = Found(rank=1, path=tmp_path / "gone.jpg")
    page = page_of(tmp_path, SheetRow(words="any", answers=[gone, text]))
    assert [link["href"] for link in page.named("a")] == [(tmp_path / "list.txt").as_uri()]


def test_links_are_reached_by_keyboard_and_seen(tmp_path: Path, red: Path) -> None:
    page = page_of(tmp_path, SheetRow(words="any", answers=[Found(rank=1, path=red)]))
    assert not any("tabindex" in attributes for _, attributes in page.tags)
    written = (tmp_path / "sheet.html").read_text(encoding="utf-8")
    assert "a:focus-visible { outline: 3px solid" in written
    assert "outline: none" not in written
    assert {"lang": "en"} in page.named("html")


def test_colours_can_be_read(tmp_path: Path) -> None:
    page_of(tmp_path)
    written = (tmp_path / "sheet.html").read_text(encoding="utf-8")
    themes = re.findall(r":root \{(.*?)\}", written, re.DOTALL)
    assert len(themes) == 2  # light and dark
    for theme in themes:
        colour = dict(re.findall(r"--(\w+): (#\w+);", theme))
        for text in ("ink", "quiet", "mark"):
            for ground in ("page", "well"):
                assert contrast(colour[text], colour[ground]) >= 4.5, (text, ground)


def contrast(one: str, other: str) -> float:
    """The contrast of two colours, by WCAG 2.2."""

    def light(colour: str) -> float:
        parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        red, green, blue = (
            part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
        )
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    low, high = sorted((light(one), light(other)))
    return (high + 0.05) / (low + 0.05)


def test_captions_and_marks_belong_to_their_answers(tmp_path: Path, red: Path) -> None:
    # As on a second page: ranks do not begin with 1.
    answers = [Found(rank=11, path=red), Found(rank=12, path=red)]
    row = SheetRow(title="any", answers=answers, captions=["one", "two"], marks=["keep", ""])
    text = page_of(tmp_path, row).text
    assert "11 keep red.png one" in text
    assert "12 red.png two" in text


@pytest.mark.parametrize("name", ["photo.jpg", "notes.txt", "noend"])
def test_it_replaces_no_other_file(tmp_path: Path, name: str) -> None:
    other = tmp_path / name
    other.write_bytes(b"precious")
    with pytest.raises(UsageError, match=r"is not a contact sheet; choose a new name .*\.html"):
        write_contact_sheet([], other, title="any")
    assert other.read_bytes() == b"precious"


def test_it_replaces_no_photo_that_is_called_or_linked_as_a_page(tmp_path: Path) -> None:
    draw(tmp_path / "photo.png", "red").rename(tmp_path / "photo.html")
    photo = draw(tmp_path / "photo.png", "red")
    (tmp_path / "link.html").symlink_to("photo.png")
    (tmp_path / "notes.txt").write_text("precious")
    (tmp_path / "notes.html").symlink_to("notes.txt")
    before = photo.read_bytes()
    for name in ("photo.html", "link.html", "notes.html"):
        with pytest.raises(UsageError, match="is not a contact sheet"):
            write_contact_sheet([], tmp_path / name, title="any")
    assert (tmp_path / "photo.html").read_bytes() == photo.read_bytes() == before
    assert (tmp_path / "notes.txt").read_text() == "precious"


def test_it_replaces_no_folder_and_no_pipe(tmp_path: Path) -> None:
    (tmp_path / "folder.html").mkdir()
    os.mkfifo(tmp_path / "pipe.html")
    for name in ("folder.html", "pipe.html"):
        with pytest.raises(UsageError, match="is not a contact sheet"):
            write_contact_sheet([], tmp_path / name, title="any")
    with pytest.raises(UsageError, match="no folder at"):
        write_contact_sheet([], tmp_path / "gone" / "a.html", title="any")


def test_it_replaces_pages_its_own_sheets_and_what_is_empty(tmp_path: Path) -> None:
    write_contact_sheet([], tmp_path / "sheet", title="first")
    for name in ("a.html", "A.HTM"):
        (tmp_path / name).write_text("<p>a page</p>", encoding="utf-8")
    (tmp_path / "empty").touch()
    for name in ("sheet", "a.html", "A.HTM", "empty"):
        write_contact_sheet([], tmp_path / name, title="second")
        assert "second" in (tmp_path / name).read_text(encoding="utf-8")


def test_a_link_to_a_sheet_stays_a_link(tmp_path: Path) -> None:
    write_contact_sheet([], tmp_path / "sheet.html", title="first")
    (tmp_path / "link.html").symlink_to("sheet.html")
    write_contact_sheet([], tmp_path / "link.html", title="second")
    assert (tmp_path / "link.html").is_symlink()
    assert "second" in (tmp_path / "sheet.html").read_text(encoding="utf-8")


def test_nothing_found_is_said(tmp_path: Path) -> None:
    assert "Nothing found." in page_of(tmp_path, SheetRow(words="any", answers=[])).text


def test_light_and_dark(tmp_path: Path) -> None:
    page = page_of(tmp_path)
    assert {"name": "color-scheme", "content": "light dark"} in page.named("meta")
