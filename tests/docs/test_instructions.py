"""The instructions that are shown work with the models that ship, on photos for everyone."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

import retrieval
from retrieval.cli import main
from retrieval.cli.app import COMMANDS
from retrieval.cli.commands import demo

ROOT = Path(__file__).parents[2]

SHOWN = {
    # Among the photos of `twinlens demo`: the test below.
    ("a vehicle", "no motorcycles"),
    # Flickr8k's dev photos: of the first ten, those whose captions say snow rise from 0 to 4.
    ("a dog", "only photos with snow"),
    # There, too: of the first ten, those whose captions say dog rise from 2 to 9.
    ("a beach", "only photos with a dog"),
}
"""Each query and instruction that README, docs and help may show: what was measured to work."""


def test_only_instructions_that_work_are_shown() -> None:
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    texts = [page.read_text(encoding="utf-8") for page in pages]
    texts += [CliRunner().invoke(main, [command, "--help"]).stdout for command in COMMANDS]
    found = {pair for text in texts for pair in re.findall(r'"([^"]+)"\s+--instruct "(.+?)"', text)}
    assert found >= {("a vehicle", "no motorcycles"), ("a dog", "only photos with snow")}
    assert found <= SHOWN


def test_the_instruction_of_the_demo_is_obeyed(tmp_path: Path) -> None:
    pytest.importorskip("skimage")
    photos = demo._photos()
    encoder = retrieval.load_encoder("builtin", "cpu")
    words, wish = demo.WISH
    assert demo.WISH in SHOWN
    with retrieval.Library.open_or_create(tmp_path / "library", encoder) as library:
        demo._index(library, encoder, photos)
        reranker = retrieval.default_reranker(encoder, instructed=True)
        searcher = retrieval.Searcher(library, encoder, reranker)
        plain = [hit.path.name for hit in searcher.search(words, top=demo.TOP)]
        told = [hit.path.name for hit in searcher.search(words, top=demo.TOP, instruct=wish)]
    assert plain[0] == "motorcycle_left.png"
    assert told[0] == "rocket.jpg"
    assert "motorcycle_left.png" not in told
