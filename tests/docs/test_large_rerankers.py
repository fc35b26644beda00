"""What docs/models.md says of large rerankers is true: the examples and the default weights."""

from __future__ import annotations

import json
from pathlib import Path

from retrieval.reranking import FusionWeights
from retrieval.reranking.hf_reranker import DEFAULT
from retrieval.training.finetune.judgments import read_triples
from tests.fakes import draw

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/models.md").read_text(encoding="utf-8")
SECTION = PAGE.partition("## Large rerankers")[2].partition("\n## ")[0]


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
