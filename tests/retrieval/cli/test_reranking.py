"""The second stage on the command line: a real reranker of a tiny model, untrained."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner, Result

from retrieval.builtin_reranker.polarity_classifier import PolarityClassifier
from retrieval.builtin_reranker.reranker_checkpoint import RerankerCheckpoint, save_reranker
from retrieval.cli import main
from retrieval.models import load_encoder
from retrieval.reranking import FusionWeights
from tests.fakes import draw
from tests.large import tiny_blip
from tests.retrieval.builtin_reranker.test_polarity_classifier import SHAPE
from tests.retrieval.builtin_reranker.test_word_detectors import spotter
from tests.tiny import colour_pairs, half_of, tiny_model

Run = Callable[..., Result]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model, a reranker for it, pairs, and a library of them."""
    folder = tmp_path_factory.mktemp("second")
    tiny_model(folder / "model")
    colour_pairs(folder / "photos")
    torch.manual_seed(0)
    fingerprint = load_encoder(str(folder / "model"), "cpu").fingerprint
    fusion = FusionWeights(text_to_image=0.5, image_to_text=0.5, instructed=0.5)
    checkpoint = RerankerCheckpoint(
        signs=PolarityClassifier(SHAPE),
        encoder=fingerprint,
        fusion=fusion,
        spotter=spotter(words=("blue", "red")),
    )
    save_reranker(checkpoint, folder / "reranker")
    done = CliRunner().invoke(
        main, ["index", str(folder / "photos"), "--library", str(folder / "library"),
               "--model", str(folder / "model")],
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    return folder


@pytest.fixture
def run(place: Path) -> Run:
    """Run a command over that library, with that model."""
    environment = {"TWINLENS_LIBRARY": str(place / "library"), "COLUMNS": "80"}

    def invoke(command: str, *args: object) -> Result:
        shown = ("--threshold", "0") if command == "search" else ()  # a random model knows nothing
        return CliRunner(env=environment).invoke(main, [command, *map(str, args), *shown])

    return invoke


def found(result: Result) -> list[tuple[str, float]]:
    assert result.exit_code == 0, result.output
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    return [(row["path"], row["score"]) for row in rows]


def test_a_named_reranker_takes_part_in_a_search(run: Run, place: Path) -> None:
    plain = found(run("search", "red", "--json"))
    second = found(run("search", "red", "--json", "--reranker", place / "reranker"))
    told = found(
        run("search", "red", "--json", "--reranker", place / "reranker", "--instruct", "no blue")
    )
    assert plain != second != told
    off = found(run("search", "red", "--json", "--reranker", place / "reranker", "--no-rerank"))
    assert off == plain  # no reranker ships for this model


def test_an_empty_instruction_is_none(run: Run, place: Path) -> None:
    second = found(run("search", "red", "--json", "--reranker", place / "reranker"))
    blank = run("search", "red", "--json", "--reranker", place / "reranker", "--instruct", "  ")
    assert found(blank) == second


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--instruct", "no blue"], "no reranker ships for the model"),
        (["--rerank"], "no reranker ships for the model"),
        (["--instruct", "no blue", "--no-rerank"], "--instruct needs the reranker"),
    ],
)
def test_an_instruction_that_nobody_reads_is_refused(
    run: Run, options: list[str], message: str
) -> None:
    result = run("search", "red", *options)
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stdout == ""


def test_a_missing_reranker_is_an_error_before_any_work(run: Run, tmp_path: Path) -> None:
    result = run("search", "red", "--reranker", tmp_path / "nowhere")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "no reranker" in result.stderr


def test_evaluate_measures_the_second_stage_with_the_same_keys(run: Run, place: Path) -> None:
    data, model = place / "photos" / "pairs.jsonl", ["--model", place / "model", "--json"]
    first = json.loads(run("evaluate", "--data", data, *model).stdout)
    both = json.loads(
        run("evaluate", "--data", data, *model, "--rerank", "--reranker", place / "reranker").stdout
    )
    assert list(both) == list(first)
    assert both["first_stage"] == first["first_stage"] == {
        way: first[way] for way in ("text_to_image", "image_to_text")
    }  # fmt: skip
    assert both["text_to_image"] != first["text_to_image"]
    assert both["reranker"] == str(place / "reranker")


def test_evaluate_measures_obedience(run: Run, place: Path) -> None:
    source = place / "scenes" / "pairs.jsonl"
    if not source.exists():
        rows = (colour_pairs(place / "scenes")).read_text().splitlines()
        scenes = ["in the snow", "on the grass"]
        told = [json.loads(row) for row in rows]
        for number, row in enumerate(told):
            row["captions"] = [f"{text} {scenes[number % 2]}" for text in row["captions"]]
        source.write_text("".join(json.dumps(row) + "\n" for row in told))
    asked = ("evaluate", "--data", source, "--model", place / "model", "--instructions",
             "--reranker", place / "reranker")  # fmt: skip
    done = json.loads(run(*asked, "--json").stdout)
    assert {"p_mrr", "robustness@10", "controls", "instances", "families"} <= set(done)
    assert done["families"] == ["scene"]
    assert set(done["controls"]) == {"none", "generic", "swapped"}
    assert done["controls"]["none"] == 0.0
    table = run(*asked).stdout
    assert "p-MRR" in table
    assert "Robustness@10" in table


def test_train_reranker_ends_with_what_it_is_trusted_with(run: Run, place: Path) -> None:
    source, out = place / "photos" / "pairs.jsonl", place / "trained"
    result = run(
        "train-reranker", "--pairs", source, "--val", half_of(source), "--out", out,
        "--model", place / "model", "--steps", 2, "--signs", 8,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert f"wrote {out}; fusion weights: text to image" in result.stderr
    assert found(run("search", "red", "--json", "--reranker", out))
    again = run("train-reranker", "--pairs", source, "--val", source, "--out", out,
                "--model", place / "model")  # fmt: skip
    assert (again.exit_code, again.stdout) == (1, "")
    assert "holds a finished reranker; choose another --out" in again.stderr


def test_train_reranker_learns_from_triples(run: Run, tmp_path: Path) -> None:
    start = tiny_blip(tmp_path / "start")
    rows = [
        {"query": "a door", "instruction": "", "candidate": f"{name}.png", "label": label}
        for name, label in (("red", 1), ("blue", 0), ("gone", 1))
    ]
    for name in ("red", "blue"):
        draw(tmp_path / f"{name}.png", name, size=(32, 32))
    triples = tmp_path / "triples.jsonl"
    triples.write_text("".join(json.dumps(row) + "\n" for row in rows))
    asked = ("train-reranker", "--triples", triples, "--out", tmp_path / "out")
    result = run(*asked, "--init", start, "--steps", 2)
    assert result.exit_code == 3, result.output
    assert f"skipping {tmp_path / 'gone.png'}: " in result.stderr
    assert (tmp_path / "out" / "model.safetensors").is_file()
    assert "--triples needs --init" in run(*asked).stderr
    unfit = run(*asked, "--init", start, "--views", 4)
    assert (unfit.exit_code, "--triples does not use --views" in unfit.stderr) == (2, True)
    bare = run("train-reranker", "--out", tmp_path / "none")
    assert (bare.exit_code, "name --pairs to train on" in bare.stderr) == (2, True)
