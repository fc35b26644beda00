"""docs/models.md is true: its specs exist, its figures are counted again, its message is ours.

Models are built on PyTorch's `meta` device, which has shapes but no numbers.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import open_clip
import pytest
import torch
from huggingface_hub import constants
from torch import nn
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


def build(architecture: str) -> nn.Module:
    """An architecture without numbers."""
    with torch.device("meta"):
        module: nn.Module = open_clip.create_model(architecture, device="meta").eval()
        return module


def own_text_tower(row: Row) -> bool:
    """Whether open_clip builds the model without the package transformers."""
    return "hf_model_name" not in open_clip.get_model_config(row.architecture)["text_cfg"]


def test_the_table_is_read() -> None:
    assert len(rows()) == 12
    assert sum(own_text_tower(row) for row in rows()) == 10


def test_every_spec_on_the_page_exists() -> None:
    known = {f"{architecture}/{tag}" for architecture, tag in open_clip.list_pretrained()}
    assert {row.spec for row in rows()} <= known
    named = re.findall(r"(?:`|--model )([\w-]+/\w+)(?=[`\s])", PAGE)
    models = {spec for spec in named if spec.partition("/")[0] in open_clip.list_models()}
    assert models >= {row.spec for row in rows()}
    assert models <= known


@pytest.mark.parametrize("row", rows(), ids=lambda row: row.spec)
def test_download_is_the_parameters_in_float32(row: Row) -> None:
    assert row.download == pytest.approx(row.parameters * 4 / 1000, abs=0.0051)


@pytest.mark.parametrize("row", rows(), ids=lambda row: row.spec)
def test_the_mark_tells_who_needs_transformers(row: Row) -> None:
    text = open_clip.get_model_config(row.architecture)["text_cfg"]
    assert row.marked == bool({"hf_model_name", "hf_tokenizer_name"} & text.keys())


@pytest.mark.parametrize("row", rows(), ids=lambda row: row.spec)
def test_dimension_and_pixels_are_the_architectures(row: Row) -> None:
    config = open_clip.get_model_config(row.architecture)
    assert (config["embed_dim"], config["vision_cfg"]["image_size"]) == (row.dim, row.pixels)


@pytest.mark.parametrize("row", list(filter(own_text_tower, rows())), ids=lambda row: row.spec)
def test_parameters_tokens_and_work_are_counted_again(row: Row) -> None:
    module = build(row.architecture)
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


def test_the_readme_leads_here() -> None:
    assert "(docs/models.md)" in (ROOT / "README.md").read_text(encoding="utf-8")
