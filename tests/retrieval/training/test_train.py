"""Whole runs of a tiny model on drawn colours: it learns, repeats, resumes and splits."""

from __future__ import annotations

import io
import json
import pickle
import signal
import subprocess
import tarfile
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from retrieval._enums import Loss, Precision
from retrieval.errors import ModelUnavailable, PairsInvalid, TrainingFailed
from retrieval.models import load_encoder
from retrieval.training.loop import train
from retrieval.training.observer import TrainObserver
from tests.retrieval.training.runs import COMMAND, config, losses, options
from tests.tiny import tiny_model
from tests.tiny_clip import DIM, TINY_CLIP, tiny_clip


def test_it_learns_which_colours_stand_where(start: Path) -> None:
    pairs = start.parent / "photos" / "pairs.jsonl"
    run = config(start, epochs=20, batch_size=28, lr=1e-2, val=pairs, ema=0.9, eval_every=10)
    done = train(run)
    assert done.dev is not None
    assert done.dev["image_to_text"]["R@5"] >= 95.0
    assert done.dev["text_to_image"]["R@5"] >= 95.0
    record = json.loads((run.out / "train.json").read_text())
    assert record["dev"] == done.dev
    assert record["config"]["pairs"] == ["pairs.jsonl"]
    assert (run.out / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert not list(run.out.glob("resume*"))
    assert load_encoder(str(run.out), "cpu").dim == 16


@pytest.mark.parametrize("precision", list(Precision))
def test_the_same_seed_repeats_bit_for_bit(start: Path, precision: Precision) -> None:
    runs = [config(start, out, precision=precision, seed=3) for out in ("a", "b")]
    for run in runs:
        train(run)
    assert losses(runs[0].out) == losses(runs[1].out)
    first, second = (load_file(run.out / "model.safetensors") for run in runs)
    assert all(torch.equal(first[name], second[name]) for name in first)
    train(config(start, "c", precision=precision, seed=4))
    assert losses(start.parent / "c") != losses(runs[0].out)


def test_chunks_and_both_losses_run(start: Path) -> None:
    for loss in Loss:
        train(config(start, f"{loss}", loss=loss))
        train(config(start, f"{loss}-chunks", loss=loss, chunk_size=5))
        whole, chunked = losses(start.parent / f"{loss}"), losses(start.parent / f"{loss}-chunks")
        assert whole == pytest.approx(chunked, rel=1e-3)


def test_accumulated_batches_are_one_step(start: Path) -> None:
    done = train(config(start, batch_size=7, accumulate=2))
    assert done.steps == 8
    assert len(losses(done.out)) == 16


def test_a_killed_run_resumes_to_the_same_result(start: Path) -> None:
    whole = config(start, "whole", epochs=16, ema=0.9)
    killed = config(start, "killed", epochs=16, ema=0.9, checkpoint_every=5)
    process = subprocess.Popen([*COMMAND, *options(killed)], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not list(killed.out.glob("resume-00000[1-9]?.safetensors")):
        assert process.poll() is None, "the run ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert (killed.out / "resume.json").exists()

    notes: list[str] = []
    train(killed, TrainObserver(note=notes.append))
    assert any(note.startswith("resuming at step") for note in notes)
    train(whole)
    assert losses(killed.out) == losses(whole.out)
    want, got = (load_file(run.out / "model.safetensors") for run in (whole, killed))
    assert all(torch.equal(got[name], want[name]) for name in want)


@pytest.mark.parametrize("precision", list(Precision))
def test_a_model_of_open_clip_is_fine_tuned(start: Path, precision: Precision) -> None:
    spec = f"{TINY_CLIP}/{tiny_clip(start.parent / 'clip')}"
    run = config(start, init=spec, precision=precision, batch_size=28, lr=1e-3)
    train(run)
    before, after = load_encoder(spec, "cpu"), load_encoder(str(run.out), "cpu")
    likeness = (before.encode_texts(["red"]) * after.encode_texts(["red"])).sum()
    assert 0.5 < likeness < 0.99999
    assert after.dim == DIM
    assert losses(run.out)[-1] < losses(run.out)[0]


def test_a_teacher_is_followed(start: Path) -> None:
    teacher = start.parent / "teacher"
    tiny_model(teacher, seed=5)
    alone = train(config(start, "alone", epochs=3, lr=1e-2))
    taught = train(
        config(start, "taught", epochs=3, lr=1e-2, teachers=(str(teacher),), teaching=100.0)
    )
    assert agreement(taught.out, teacher) > 0.8 > 0.4 > agreement(alone.out, teacher)
    tiny_model(start.parent / "other")
    changed = json.loads((start.parent / "other" / "config.json").read_text())
    changed["image"]["mean"] = [0.1, 0.1, 0.1]
    (start.parent / "other" / "config.json").write_text(json.dumps(changed))
    with pytest.raises(ModelUnavailable, match=r"teacher .* reads other input"):
        train(config(start, "x", teachers=(str(start.parent / "other"),)))


def agreement(one: Path, other: Path) -> float:
    """How the cosines of two models correlate, over all drawn photos and one caption of each."""
    photos = sorted((one.parent / "photos").glob("*.png"))
    cosines = []
    for folder in (one, other):
        encoder = load_encoder(str(folder), "cpu")
        shown = encoder.encode_images([Image.open(photo).convert("RGB") for photo in photos])
        said = encoder.encode_texts([photo.stem.replace("-", " beside ") for photo in photos])
        cosines.append((shown @ said.T).ravel())
    return float(np.corrcoef(cosines)[0, 1])


def test_broken_photos_are_left_out_counted_and_named(start: Path) -> None:
    run = config(start)
    folder = run.pairs[0].parent
    (folder / "red-green.png").write_bytes(b"no picture")
    (folder / "red-blue.png").unlink()
    notes: list[str] = []
    done = train(run, TrainObserver(note=notes.append))
    assert {skip.path.name for skip in done.skipped} == {"red-green.png", "red-blue.png"}
    assert any(note.startswith("54 photos") and "2 skipped" in note for note in notes)


def test_a_broken_photo_costs_its_shard_no_other(start: Path) -> None:
    run = config(start)
    with tarfile.open(start.parent / "shard.tar", "w") as tar:
        for name in ("red-green", "red-blue", "blue-red", "black-white"):
            for file, content in (
                (f"{name}.png", (run.pairs[0].parent / f"{name}.png").read_bytes()),
                (f"{name}.txt", name.encode()),
            ):
                broken = file == "red-blue.png"
                member = tarfile.TarInfo(file)
                member.size = 10 if broken else len(content)
                tar.addfile(member, io.BytesIO(b"no picture" if broken else content))
    notes: list[str] = []
    shard = config(start, "from-shard", pairs=(start.parent / "shard.tar",), batch_size=3)
    done = train(shard, TrainObserver(note=notes.append))
    assert len(done.skipped) == 1
    assert any(note.startswith("3 photos, 3 captions, 1 skipped") for note in notes)


def test_no_photo_left_is_an_error(start: Path) -> None:
    run = config(start)
    for photo in run.pairs[0].parent.glob("*.png"):
        photo.write_bytes(b"no picture")
    with pytest.raises(PairsInvalid, match="none of the 56 photos could be decoded"):
        train(run)


def test_a_loss_that_is_not_finite_stops_and_keeps_the_last_checkpoint(start: Path) -> None:
    run = config(start, epochs=8, lr=1e30, clip=1e30, checkpoint_every=1, warmup=0.0)
    with pytest.raises(TrainingFailed, match=r"loss is nan at step \d+.*lower --lr"):
        train(run)
    assert (run.out / "resume.json").exists()


def test_a_state_that_is_damaged_is_named(start: Path) -> None:
    run = config(start, epochs=8, lr=1e30, clip=1e30, checkpoint_every=1, warmup=0.0)
    with pytest.raises(TrainingFailed, match="loss is nan"):
        train(run)
    pointer = run.out / "resume.json"
    good = json.loads(pointer.read_text())
    pickled = run.out / "resume-9.safetensors"
    pickled.write_bytes(pickle.dumps({"master/w": 1}))
    other = run.out / "resume-8.safetensors"
    save_file({n: t[..., None] for n, t in load_file(run.out / good["state"]).items()}, other)
    for damage in (
        {"place": 3},
        {"place": {"step": 1, "log": 2}},
        {"place": {"steps": 1, "log": []}},
        {"state": 7},
        {"state": pickled.name},
        {"state": other.name},
    ):
        pointer.write_text(json.dumps({**good, **damage}))
        with pytest.raises(TrainingFailed, match=r"the state of the run .* is damaged"):
            train(run)
    pointer.write_text("[]")
    with pytest.raises(TrainingFailed, match=r"the state of the run .* is damaged"):
        train(run)


def test_a_finished_model_is_not_overwritten(start: Path) -> None:
    run = config(start)
    train(run)
    before = (run.out / "model.safetensors").read_bytes()
    with pytest.raises(TrainingFailed, match="holds a finished model"):
        train(config(start, seed=9))
    assert (run.out / "model.safetensors").read_bytes() == before


def test_a_folder_of_another_run_is_refused(start: Path) -> None:
    run = config(start, epochs=8, lr=1e30, clip=1e30, checkpoint_every=1, warmup=0.0)
    with pytest.raises(TrainingFailed):
        train(run)
    with pytest.raises(TrainingFailed, match=r"other settings \(lr\)"):
        train(config(start, epochs=8, clip=1e30, checkpoint_every=1, warmup=0.0))
