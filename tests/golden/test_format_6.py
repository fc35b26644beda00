"""A library that format 6 wrote must open for ever, with the text that its photos show."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from indexer.core.types import TextLine
from indexer.ingest.pipeline import index_folders
from indexer.library.library import Library
from indexer.library.verify import check, repair
from tests.fakes import ColourEncoder, draw

GOLDEN = Path(__file__).parent / "library-6"
FLAG = Path("/srv/photos/Italy 2019/flag.jpg")
LINES = (
    TextLine(text="Grand Hôtel 東京", confidence=0.98, box=(0.1, 0.2, 0.5, 0.1)),
    TextLine(text="Rechnung 2019-07", confidence=0.9, box=(0.1, 0.4, 0.25, 0.05)),
)


@pytest.fixture
def library(tmp_path: Path) -> Path:
    return Path(shutil.copytree(GOLDEN, tmp_path / "library"))


def _lines(library: Path) -> tuple[TextLine, ...]:
    """Read what was read in the flag."""
    with Library.open(library) as opened:
        (reading,) = (file.reading for file in opened.catalog.holdings() if file.reading)
    assert reading.reader == "rapidocr 3.10.0"
    return reading.lines


def test_it_opens_and_is_whole(library: Path) -> None:
    assert check(library) == []
    assert _lines(library) == LINES


def test_it_keeps_the_text_while_it_grows_and_is_repaired(library: Path, tmp_path: Path) -> None:
    draw(tmp_path / "photos" / "red.png", "red")
    with Library.open(library) as opened:
        assert index_folders(opened, ColourEncoder(), [tmp_path / "photos"]).photos == 1
    page = bytearray((library / "catalog.sqlite").read_bytes())
    page[:100] = bytes(100)
    (library / "catalog.sqlite").write_bytes(page)
    assert check(library) != []
    repair(library)
    assert check(library) == []
    assert _lines(library) == LINES


@pytest.mark.parametrize("format_", [3, 4, 5])
def test_older_formats_become_it(tmp_path: Path, format_: int) -> None:
    older = Path(shutil.copytree(GOLDEN.with_name(f"library-{format_}"), tmp_path / "library"))
    with Library.open(older) as opened, opened.writing():
        pass
    with Library.open(older) as opened:
        assert opened.info().format == 6
        assert not any(file.reading for file in opened.catalog.holdings())
    assert check(older) == []


@pytest.mark.parametrize(("format_", "photos"), [(5, 3), (6, 3)])
def test_a_lost_first_page_is_mended_in_either_format(
    tmp_path: Path, format_: int, photos: int
) -> None:
    broken = Path(shutil.copytree(GOLDEN.with_name(f"library-{format_}"), tmp_path / "library"))
    pages = (broken / "catalog.sqlite").read_bytes()
    (broken / "catalog.sqlite").write_bytes(bytes(4096) + pages[4096:])
    repair(broken)
    assert check(broken) == []
    with Library.open(broken) as opened:
        assert opened.info().photos == photos
