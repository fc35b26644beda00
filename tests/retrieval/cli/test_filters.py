"""Filters from the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fakes import ColourEncoder
from tests.retrieval.cli.conftest import Run


class NeverAsked(ColourEncoder):
    """Names the library's model, and embeds nothing."""

    encode_texts = encode_images = None


def test_a_search_by_filters_alone_opens_no_model(
    run: Run, indexed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    never = NeverAsked(name="builtin", fingerprint="fingerprint of builtin")
    monkeypatch.setattr("retrieval.runtime.select_encoder.quick_encoder", lambda *_, **__: never)
    monkeypatch.delattr("retrieval.models.registry.load_encoder")
    monkeypatch.delattr("retrieval.search.library_search.load_reranker")
    found = run("search", "-f", "type:png")
    assert found.exit_code == 0
    assert sorted(found.stdout.splitlines()) == sorted(map(str, indexed.glob("*.png")))


def test_options_are_the_same_as_filters_in_the_query(run: Run, indexed: Path) -> None:
    for written, options in {
        "red type:png": ["red", "--type", "png"],
        f"red in:{indexed}": ["red", "--in", indexed],
        "red -in:elsewhere type:png": ["red -in:elsewhere", "--type", "png"],
    }.items():
        both = run("search", "-f", written).stdout, run("search", "-f", *options).stdout
        assert both[0] == both[1] != ""


def test_a_filter_with_a_minus_is_no_option(run: Run, indexed: Path) -> None:
    photos = sorted(map(str, indexed.glob("*.png")))
    for asked in (["-type:jpg", "-t", 9], ["-t", 9, "-type:jpg"], ["-t", 9, "--", "-type:jpg"]):
        found = run("search", "-f", *asked)
        assert (found.exit_code, sorted(found.stdout.splitlines())) == (0, photos)
    assert run("search", "-f", "red", "-type:png").exit_code == 4
