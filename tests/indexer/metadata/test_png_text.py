"""Texts of a PNG: what people write, and what image generators were asked for."""

from __future__ import annotations

import json
import struct
import zlib
from datetime import datetime
from io import BytesIO
from typing import Any

import pytest
from PIL import Image, PngImagePlugin

from indexer.metadata.extract import read_metadata
from indexer.metadata.generation_prompts import described
from tests.indexer.metadata.test_xmp import MWG, packet

WORDS = "heron in the reeds"


def png(*texts: tuple[str, str], packed: bool = False, international: bool = False) -> bytes:
    info, buffer = PngImagePlugin.PngInfo(), BytesIO()
    for key, words in texts:
        if international:
            info.add_itxt(key, words, lang="en", tkey=key, zip=packed)
        else:
            info.add_text(key, words, zip=packed)
    Image.new("RGB", (4, 4)).save(buffer, "PNG", pnginfo=info)
    return buffer.getvalue()


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("international", [False, True])
def test_title_and_description_in_each_kind_of_text(packed: bool, international: bool) -> None:
    texts = (("Title", "A heron"), ("Description", WORDS), ("Software", "GIMP"))
    about = read_metadata(png(*texts, packed=packed, international=international))
    assert (about.title, about.caption) == ("A heron", WORDS)
    assert about.camera == ""
    latin = read_metadata(png(("title", "Café"), packed=packed, international=international))
    assert latin.title == "Café"


def test_other_texts_of_people() -> None:
    data = png(
        ("Comment", WORDS), ("Keywords", "reed; heron"), ("Creation Time", "2019-07-14T18:03:11")
    )
    about = read_metadata(data)
    assert (about.caption, about.keywords) == (WORDS, ("reed", "heron"))
    assert about.taken == datetime(2019, 7, 14, 18, 3, 11)


def test_description_and_prompt_are_both_words() -> None:
    about = read_metadata(png(("Description", "My bird"), ("parameters", WORDS)))
    assert about.caption == f"My bird\n{WORDS}"


def test_xmp_of_a_png() -> None:
    data = png(("XML:com.adobe.xmp", packet(MWG).decode()), international=True)
    assert read_metadata(data).keywords == ("Zebedea", "Ann Lee", "Rex")


COMFY: dict[str, Any] = {
    "3": {
        "class_type": "KSampler",
        "inputs": {"seed": 7, "model": ["4", 0], "positive": ["8", 0], "negative": ["7", 0]},
    },
    "4": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "model.safetensors"}},
    "6": {"class_type": "CLIPTextEncode", "inputs": {"text": WORDS, "clip": ["4", 1]}},
    "7": {"class_type": "CLIPTextEncode", "inputs": {"text": "a dog", "clip": ["4", 1]}},
    "8": {"class_type": "ControlNetApply", "inputs": {"conditioning": ["6", 0], "strength": 1}},
}


@pytest.mark.parametrize(
    "written",
    [
        WORDS,
        f"{WORDS}\nNegative prompt: a dog\nSteps: 20, Sampler: Euler a, Model: dogs",
        f"{WORDS}\nSteps: 20, Sampler: Euler a",
        json.dumps(COMFY),
        json.dumps({"6": COMFY["6"]}),
        json.dumps({"positive_prompt": WORDS, "negative_prompt": "a dog", "model": {"name": "x"}}),
        json.dumps({"prompt": WORDS, "uc": "a dog", "steps": 28}),
        json.dumps({"image": {"prompt": [{"prompt": WORDS, "weight": 1}], "steps": 50}}),
        f'"{WORDS}" -s 50 -S 123 -W 512',
    ],
)
def test_a_prompt_is_what_was_wished_for(written: str) -> None:
    assert described(written) == WORDS


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("{family} at the lake", "{family} at the lake"),
        ("[cat|dog], oil on canvas", "[cat|dog], oil on canvas"),
        ('{"version": 4, "nodes": [1, 2]}', ""),
        ('{"cut": "here', ""),
        ("[" * 9_999, ""),
        ('{"a":' * 9_999 + "1" + "}" * 9_999, ""),
    ],
)
def test_json_without_a_prompt_is_no_caption(written: str, kept: str) -> None:
    assert described(written) == kept


def test_nodes_that_lead_in_a_circle_end() -> None:
    links = {f"input{node}": [str(node), 0] for node in range(30)}
    nodes: dict[str, Any] = {str(node): {"inputs": dict(links)} for node in range(30)}
    nodes["0"]["inputs"]["text"] = WORDS
    assert described(json.dumps(nodes)) == WORDS


def _chunk(name: bytes, body: bytes, check: int | None = None) -> bytes:
    check = zlib.crc32(name + body) if check is None else check
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", check)


def test_a_text_that_is_damaged_or_large_is_read_as_far_as_it_goes() -> None:
    plain = png(("Title", "A heron"))
    large = _chunk(b"zTXt", b"workflow\0\0" + zlib.compress(b"x" * 9_000_000))
    packed = b"Description\0\0" + zlib.compress(WORDS.encode() * 9)[:-4]
    data = plain[:33] + large + _chunk(b"zTXt", packed, check=1) + plain[33:]
    about = read_metadata(data)
    assert (about.title, about.width) == ("A heron", 4)
    assert about.caption.startswith(WORDS)
