"""What docs/models.md says of large rerankers is true: sizes as counted, examples that are read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from transformers import BlipConfig, BlipForImageTextRetrieval

from retrieval.reranking import FusionWeights
from retrieval.reranking.hf_reranker import DEFAULT
from retrieval.training.finetune.judgments import read_triples
from tests.fakes import draw

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/models.md").read_text(encoding="utf-8")
SECTION = PAGE.partition("## Large rerankers")[2].partition("\n## ")[0]
LARGE = {"hidden_size": 1024, "intermediate_size": 4096}  # of the image tower
LARGE |= {"num_hidden_layers": 24, "num_attention_heads": 16}


@pytest.mark.parametrize(("size", "tower"), [("base", {}), ("large", LARGE)])
def test_parameters_are_counted_again(size: str, tower: dict[str, int]) -> None:
    with torch.device("meta"):
        module = BlipForImageTextRetrieval(BlipConfig(vision_config=tower))
    counted = sum(parameter.numel() for parameter in module.parameters())
    line = next(line for line in SECTION.splitlines() if f"blip-itm-{size}-coco`" in line)
    assert line.split("|")[4].strip() == f"{counted / 1e6:.1f}"


def test_the_examples_are_read(tmp_path: Path) -> None:
    weights, triple = (block for block in SECTION.split("```")[1::2])
    assert FusionWeights(**json.loads(weights)).instructed == 0.05
    draw(tmp_path / "rex.jpg", "red")
    (tmp_path / "triples.jsonl").write_text(triple, encoding="utf-8")
    (read,) = read_triples(tmp_path / "triples.jsonl").triples
    assert (read.instruction, read.label) == ("must be at night", False)


def test_the_default_is_the_one_in_use() -> None:
    assert "plus 0.01 for each logit" in SECTION
    assert {DEFAULT.text_to_image, DEFAULT.image_to_text, DEFAULT.instructed} == {0.01}
