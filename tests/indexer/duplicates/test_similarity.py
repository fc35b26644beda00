"""Copies agree in each tile; other words, and what moved, do not."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import skimage
from PIL import Image, ImageEnhance

from indexer.duplicates.similarity import AGREE, ALIKE, agreement, likeness, picture
from tests.documents import chat, lines, page

DATA = Path(skimage.__file__).parent / "data"


def agree(one: Image.Image, other: Image.Image) -> float:
    """Return how far two photos agree where they agree least."""
    grey = one.convert("L"), other.convert("L")
    for each in grey:
        each.thumbnail(
            (1280, 1280), Image.Resampling.BOX
        )  # as `indexer.duplicates.finder` reads them
    return agreement(picture(one), picture(other), lambda _side: grey)


def photo(name: str) -> Image.Image:
    return Image.open(DATA / name).convert("RGB")


def jpeg(image: Image.Image, quality: int = 90) -> Image.Image:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return Image.open(file)


def cut(image: Image.Image, share: float) -> Image.Image:
    width, height = int(image.width * share), int(image.height * share)
    left, top = (image.width - width) // 2, (image.height - height) // 2
    return image.crop((left, top, left + width, top + height))


COPIES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "half": lambda image: image.resize((image.width // 2, image.height // 2)),
    "a third, recompressed": lambda image: jpeg(
        image.resize((image.width // 3, image.height // 3)), 80
    ),
    "recompressed": lambda image: jpeg(image, 30),
    "brighter": lambda image: jpeg(ImageEnhance.Brightness(image).enhance(1.3)),
    "more contrast": lambda image: jpeg(ImageEnhance.Contrast(image).enhance(1.3)),
    "cropped": lambda image: jpeg(cut(image, 0.95)),
    "grey": lambda image: image.convert("L").convert("RGB"),
}

SHOWN: dict[str, Callable[[], Image.Image]] = {
    "cat": lambda: photo("chelsea.png"),
    "coffee": lambda: photo("coffee.png"),
    "rocket": lambda: photo("rocket.jpg"),
    "chat": lambda: chat(1),
    "dark chat": lambda: chat(1, dark=True),
    "page": lambda: page(lines(1)),
}


@pytest.mark.parametrize("change", COPIES)
@pytest.mark.parametrize("shown", SHOWN)
def test_copies_agree_in_each_tile(shown: str, change: str) -> None:
    image = SHOWN[shown]()
    copy = COPIES[change](image)
    assert agree(image, copy) >= AGREE
    assert agree(copy, image) >= AGREE


def other_word() -> tuple[Image.Image, Image.Image]:
    text = lines(1)
    return page(text), page(
        [*text[:20], text[20].replace(text[20].split()[3], "mouse"), *text[21:]]
    )


def other_amount() -> tuple[Image.Image, Image.Image]:
    text = lines(1)
    one, other = ([*text[:5], f"Total due: {each} EUR", *text[6:]] for each in ("1403", "1703"))
    return page(one), page(other)


OTHERS: dict[str, Callable[[], tuple[Image.Image, Image.Image]]] = {
    "chats": lambda: (chat(1), chat(2)),
    "dark chats": lambda: (chat(1, dark=True), chat(2, dark=True)),
    "chats in small letters": lambda: (chat(1, font=28), chat(2, font=28)),
    "chats, recompressed": lambda: (chat(1), jpeg(COPIES["half"](chat(2)), 50)),
    "pages": lambda: (page(lines(1)), page(lines(2))),
    "one word": other_word,
    "one digit": other_amount,
}


@pytest.mark.parametrize("name", OTHERS)
def test_other_words_are_no_copies(name: str) -> None:
    one, other = OTHERS[name]()
    assert agree(one, other) < AGREE
    assert agree(other, one) < AGREE


@pytest.mark.parametrize("name", ["chats", "one word", "one digit"])
def test_the_small_pictures_alone_would_take_them_for_copies(name: str) -> None:
    one, other = OTHERS[name]()
    assert likeness(picture(one), picture(other)) >= ALIKE


@pytest.mark.parametrize("name", ["chelsea.png", "coffee.png", "rocket.jpg"])
def test_shots_of_a_burst_are_no_copies(name: str) -> None:
    first = photo(name)
    noise = np.random.default_rng(0).normal(0, 3, (first.height, first.width, 3))
    second = Image.fromarray((np.asarray(first) + noise).clip(0, 255).astype(np.uint8))
    assert agree(first, second) >= AGREE  # nothing moved: noise alone makes no other shot
    width, height = first.width // 8, first.height // 8
    moved = first.crop((first.width // 2, first.height // 2, first.width // 2 + width,
                        first.height // 2 + height))  # fmt: skip
    second.paste(moved, (first.width // 3, first.height // 3))
    assert agree(first, second) < AGREE


def test_two_blank_pictures_agree() -> None:
    white = Image.new("RGB", (300, 200), "white")
    assert agree(white, white) == 1.0
    assert agree(white, page(lines(1)).resize((300, 200))) < AGREE


def test_a_mark_that_only_one_has_is_seen() -> None:
    letter = page(lines(1))
    stamped = letter.copy()
    stamp = page(["PAID", "in full"], font=60).crop((80, 80, 500, 240))
    stamped.paste((200, 200, 200), (700, 1400), stamp.convert("L").point(lambda level: 255 - level))
    assert agree(letter, stamped) < AGREE
