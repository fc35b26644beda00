"""What is taught beside the captions: losses against plain formulas, files, and a whole run."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from retrieval.errors import PairsInvalid
from retrieval.training.config import TrainConfig
from retrieval.training.lessons import Kinds, Lessons, Vocabulary, kind_loss, relation_loss
from retrieval.training.loop import train
from tests.fakes import COLOURS
from tests.tiny import colour_pairs, tiny_model


def kinds_file(folder: Path, photos: list[str], likely: list[list[float]]) -> Path:
    """Write kinds: two classes, and "thing" for both together."""
    tensors = {
        "probabilities": torch.tensor(likely).half(),
        "members": torch.tensor([[1, 0], [0, 1], [1, 1]], dtype=torch.uint8),
    }
    names = [["tabby", "house cat"], ["beagle"], ["thing"]]
    save_file(
        tensors,
        folder / "kinds.safetensors",
        metadata={"photos": json.dumps(photos), "names": json.dumps(names)},
    )
    return folder / "kinds.safetensors"


def vocabulary_file(folder: Path, texts: list[str]) -> Path:
    vectors = torch.nn.functional.normalize(torch.randn(len(texts), 8), dim=1).half()
    path = folder / "vocabulary.safetensors"
    save_file({"vectors": vectors}, path, metadata={"texts": json.dumps(texts)})
    return path


def test_kind_loss_with_certain_kinds_is_clips_cross_entropy() -> None:
    logits = torch.randn(5, 5, generator=torch.Generator().manual_seed(0))
    diagonal = torch.arange(5)
    rows = torch.nn.functional.cross_entropy(logits, diagonal)
    columns = torch.nn.functional.cross_entropy(logits.T, diagonal)
    assert kind_loss(logits, torch.eye(5)).item() == pytest.approx(((rows + columns) / 2).item())


def test_kind_loss_weighs_by_probability() -> None:
    logits = torch.tensor([[2.0, 0.0], [1.0, 3.0], [0.0, 0.0]])
    likely = torch.tensor([[0.5, 0.0], [0.25, 1.0], [0.0, 0.0]])

    def lacking(values: list[float], target: list[float]) -> float:
        total = math.log(sum(math.exp(value) for value in values))
        return -sum(t * (v - total) for t, v in zip(target, values, strict=True))

    kinds = (0.75 * lacking([2, 1, 0], [2 / 3, 1 / 3, 0]) + lacking([0, 3, 0], [0, 1, 0])) / 1.75
    photos = (0.5 * lacking([2, 0], [1, 0]) + lacking([1, 3], [0.2, 0.8])) / 1.5
    assert kind_loss(logits, likely).item() == pytest.approx((kinds + photos) / 2, rel=1e-5)


def test_a_photo_without_knowledge_pulls_nothing() -> None:
    logits = torch.randn(4, 3, requires_grad=True)
    kind_loss(logits, torch.zeros(4, 3)).backward()
    assert torch.equal(logits.grad, torch.zeros(4, 3))


def test_relation_loss_is_zero_where_student_and_teacher_agree() -> None:
    texts = torch.randn(6, 8, generator=torch.Generator().manual_seed(1))
    unit = torch.nn.functional.normalize(texts, dim=1)
    assert relation_loss(3.0 * texts, unit @ unit.T).item() == pytest.approx(0.0, abs=1e-5)
    other = torch.nn.functional.normalize(texts.flip(0), dim=1)
    assert relation_loss(texts, other @ other.T).item() > 0.1


def test_kinds_are_summed_over_their_classes_and_named(tmp_path: Path) -> None:
    path = kinds_file(tmp_path, ["a.png", "b.png"], [[0.5, 0.25], [0.0, 1.0]])
    photos = [tmp_path / "b.png", tmp_path / "unknown.png", tmp_path / "a.png"]
    names, likely = Kinds(path, photos).draw(np.arange(3), np.random.default_rng(0))
    wanted = {"tabby": [0, 0, 0.5], "house cat": [0, 0, 0.5], "beagle": [1, 0, 0.25]}
    wanted["thing"] = [1, 0, 0.75]
    assert len(names) == 3
    for name, column in zip(names, likely.T.tolist(), strict=True):
        assert column == wanted[name]


def test_a_lesson_repeats_by_seed(tmp_path: Path) -> None:
    kinds = Kinds(kinds_file(tmp_path, ["a.png"], [[0.5, 0.5]]), [tmp_path / "a.png"])
    vocabulary = Vocabulary(vocabulary_file(tmp_path, [f"word {n}" for n in range(300)]))
    lessons = Lessons(kinds, vocabulary, lambda name, _: f"a {name}")
    first, again, other = (lessons.draw(np.array([0]), seed) for seed in (7, 7, 8))
    assert first.texts == again.texts != other.texts
    assert torch.equal(first.related, again.related)
    assert all(text.startswith("a ") for text in first.texts[:3])
    assert torch.allclose(first.related.diagonal(), torch.ones(128), atol=2e-3)


def test_no_lesson_without_files() -> None:
    assert Lessons(None, None, lambda name, _: name).draw(np.array([0]), 0) is None


@pytest.mark.parametrize("content", [None, b"junk", "without names", "of other photos"])
def test_a_file_of_another_form_is_refused(content: object, tmp_path: Path) -> None:
    path = tmp_path / "kinds.safetensors"
    if content == "without names":
        save_file({"probabilities": torch.zeros(1, 2), "members": torch.zeros(1, 2)}, path)
    elif content == "of other photos":
        kinds_file(tmp_path, ["elsewhere.png"], [[1.0, 0.0]])
    elif isinstance(content, bytes):
        path.write_bytes(content)
    with pytest.raises(PairsInvalid, match=r"kinds\.safetensors"):
        Kinds(path, [tmp_path / "a.png"])


def test_a_run_learns_names_that_no_caption_holds(tmp_path: Path) -> None:
    """Captions speak of no colour; the classifier does, under the names of the colours."""
    pairs = colour_pairs(tmp_path / "photos")
    rows = [json.loads(line) for line in pairs.read_text().splitlines()]
    mute = tmp_path / "photos/mute.jsonl"
    mute.write_text("".join(json.dumps({**row, "captions": ["a photo"]}) + "\n" for row in rows))
    first = [row["image"].split("-")[0] for row in rows]
    save_file(
        {
            "probabilities": torch.tensor([[float(c == of) for c in COLOURS] for of in first]),
            "members": torch.eye(len(COLOURS)).to(torch.uint8),
        },
        tmp_path / "photos/kinds.safetensors",
        metadata={
            "photos": json.dumps([row["image"] for row in rows]),
            "names": json.dumps([[colour] for colour in COLOURS]),
        },
    )
    tiny_model(tmp_path / "tiny")
    done = train(
        TrainConfig(
            pairs=(mute,),
            init=str(tmp_path / "tiny"),
            out=tmp_path / "out",
            kinds=tmp_path / "photos/kinds.safetensors",
            epochs=40,
            batch_size=len(rows),
            lr=3e-3,
            device="cpu",
        )
    )
    losses = [line["loss"] for line in done.log]
    assert losses[-1] < losses[0] / 2
