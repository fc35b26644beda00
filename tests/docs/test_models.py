"""docs/models.md is true: its specs exist, its figures are open_clip's, its message is ours."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import open_clip
import pytest
import torch
from huggingface_hub import constants
from torch.utils.flop_counter import FlopCounterMode

from retrieval.errors import ModelUnavailable
from retrieval.models import load_model

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/models.md").read_text(encoding="utf-8")
NEEDS_TRANSFORMERS = "◆"


@dataclass(frozen=True, kw_only=True)
class Row:
    """A line of the table of all models."""

    spec: str
    marked: bool
    parameters: float  # millions
    download: float  # GB
    dim: int
    pixels: int
    tokens: int
    gflop: float

    @property
    def architecture(self) -> str:
        return self.spec.partition("/")[0]


def rows() -> list[Row]:
    """The models of open_clip in the table, in their order."""
    table = PAGE.partition("## All of them")[2].partition("##")[0]
    found = []
    for line in table.splitlines():
        cells = [cell.strip() for cell in line.split("|")[1:-1]]
        if len(cells) == 9 and "/" in cells[0]:
            row = Row(
                spec=cells[0].strip("`◆ "),
                marked=NEEDS_TRANSFORMERS in cells[0],
                parameters=float(cells[3]),
                download=float(cells[4]),
                dim=int(cells[5]),
                pixels=int(cells[6]),
                tokens=int(cells[7]),
                gflop=float(cells[8]),
            )
            found.append(row)
    return found


def test_every_spec_on_the_page_exists() -> None:
    known = {f"{architecture}/{tag}" for architecture, tag in open_clip.list_pretrained()}
    named = re.findall(r"(?:`|--model )([\w-]+/\w+)(?=[`\s])", PAGE)
    models = {spec for spec in named if spec.partition("/")[0] in open_clip.list_models()}
    assert len(rows()) == 12
    assert {row.spec for row in rows()} <= models <= known


def test_the_table_is_as_open_clip_says() -> None:
    for row in rows():
        config = open_clip.get_model_config(row.architecture)
        size = config["vision_cfg"]["image_size"]
        assert (config["embed_dim"], size) == (row.dim, row.pixels), row
        needs = {"hf_model_name", "hf_tokenizer_name"} & config["text_cfg"].keys()
        assert row.marked == bool(needs), row
        assert row.download == pytest.approx(row.parameters * 4 / 1000, abs=0.0051), row


def test_the_figures_of_one_model_are_counted_again() -> None:
    (row,) = (row for row in rows() if row.spec == "ViT-B-32/laion2b_s34b_b79k")
    with torch.device("meta"):  # shapes without numbers
        module = open_clip.create_model(row.architecture, device="meta").eval()
    counted = sum(parameter.numel() for parameter in module.parameters())
    assert round(counted / 1e6, 1) == row.parameters
    assert module.context_length == row.tokens
    with FlopCounterMode(display=False) as flops:
        module.encode_image(torch.zeros(1, 3, row.pixels, row.pixels, device="meta"))
    assert round(flops.get_total_flops() / 1e9, 1) == row.gflop


def test_the_built_in_model_has_the_figures_of_its_row() -> None:
    model = load_model()
    counted = sum(parameter.numel() for parameter in model.module.parameters())
    line = next(line for line in PAGE.splitlines() if line.startswith("| `builtin` | Apache"))
    cells = [cell.strip() for cell in line.split("|")]
    assert cells[4] == str(round(counted / 1e6, 1))
    assert cells[6:8] == [str(model.dim), str(model.image.size)]


def test_the_message_shown_is_the_one_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    shown = PAGE.partition("```\ncannot fetch")[2].partition("```")[0]
    with pytest.raises(ModelUnavailable) as raised:
        load_model("ViT-B-32/laion2b_s34b_b79k")
    assert " ".join(f"cannot fetch{shown}".split()) == str(raised.value)
