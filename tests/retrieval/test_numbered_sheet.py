"""A numbered sheet fits its limit, and shows each photo at the place of its number."""

from __future__ import annotations

import pytest
from PIL import Image

from retrieval.numbered_sheet import MOST, SIDE, numbered_sheet
from tests.fakes import COLOURS


@pytest.mark.parametrize(
    ("count", "size"),
    [(1, (256, 256)), (5, (1280, 256)), (6, (1536, 256)), (7, (1536, 512)), (24, (1536, 1024))],
)
def test_up_to_six_stand_in_a_row(count: int, size: tuple[int, int]) -> None:
    assert numbered_sheet([Image.new("RGB", (256, 192))] * count).size == size


def test_the_largest_sheet_fits() -> None:
    assert numbered_sheet([Image.new("RGB", (256, 192))] * MOST).size == (SIDE, SIDE)


def test_each_photo_stands_at_its_number() -> None:
    pictures = [Image.new("RGB", (256, 128), colour) for colour in COLOURS.values()]
    sheet = numbered_sheet([*pictures[:3], None, *pictures[3:]])
    colours = [sheet.getpixel((x * 256 + 128, y * 256 + 128)) for y in range(2) for x in range(6)]
    found = [*COLOURS.values()]
    assert colours[:9] == [*found[:3], (64, 64, 64), *found[3:]]
    assert colours[9:] == [(24, 24, 24)] * 3


def test_a_number_is_drawn_in_the_corner() -> None:
    plain = Image.new("RGB", (256, 256), COLOURS["red"])
    one, two = numbered_sheet([plain]), numbered_sheet([plain, plain]).crop((256, 0, 512, 256))
    assert one.getpixel((250, 250)) == two.getpixel((250, 250)) == COLOURS["red"]
    assert one.crop((0, 0, 48, 48)).tobytes() != two.crop((0, 0, 48, 48)).tobytes()
    assert one.crop((64, 0, 256, 256)).tobytes() == two.crop((64, 0, 256, 256)).tobytes()
