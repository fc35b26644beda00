"""Learning a name from real photos with the built-in model, and asking for it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from click.testing import CliRunner, Result
from PIL import Image

from indexer.core.errors import ModelMismatch
from indexer.core.types import Kind
from indexer.ingest.pipeline import index_folders
from indexer.library.library import Library
from retrieval.cli import main
from retrieval.concepts import Concepts, LearnOptions, learn_concept
from retrieval.concepts.textual_inversion import (
    GIVEN_PACE,
    GUESSED_PACE,
    Pupil,
    learn_tokens,
    prepare,
)
from retrieval.errors import ConceptInvalid, ModelUnavailable
from retrieval.models import TorchEncoder, load_encoder
from retrieval.runtime.select_encoder import quick_encoder
from retrieval.search import Searcher, parse_query
from tests.fakes import ColourEncoder

OTHERS = ("astronaut", "coffee", "rocket", "horse", "page", "coins", "camera")


@pytest.fixture(scope="module")
def views(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four views of one cup of coffee to learn from; others and a fifth view to find."""
    folder = tmp_path_factory.mktemp("views")
    (folder / "learn").mkdir()
    (folder / "find").mkdir()
    cup = Image.fromarray(skimage.data.coffee())
    wide, high = cup.size
    for number, (left, top) in enumerate([(0, 0), (60, 0), (0, 40), (60, 40)]):
        box = (left, top, left + wide - 60, top + high - 40)
        cup.crop(box).save(folder / "learn" / f"cup-{number}.png")
    cup.crop((30, 20, wide - 30, high - 20)).rotate(5).save(folder / "find" / "cup.png")
    for name in OTHERS:
        if name != "coffee":
            photo = Image.fromarray(np.asarray(getattr(skimage.data, name)()))
            photo.convert("RGB").save(folder / "find" / f"{name}.png")
    return folder


@pytest.fixture(scope="module")
def made(views: Path, builtin: TorchEncoder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a library of what is to be found."""
    folder = tmp_path_factory.mktemp("made") / "library"
    with Library.create(folder, builtin) as library:
        index_folders(library, builtin, [views / "find"])
    return folder


@pytest.fixture
def library(made: Path, tmp_path: Path) -> Iterator[Library]:
    """A copy of it."""
    shutil.copytree(made, tmp_path / "library")
    with Library.open(tmp_path / "library") as opened:
        yield opened


def test_a_name_finds_what_it_was_learned_from(
    views: Path, library: Library, builtin: TorchEncoder
) -> None:
    photos = [views / "learn" / "cup-0.png", views / "learn"]  # a file, and all in its folder
    plain = Searcher(library, builtin)
    without = builtin.encode_texts(["a horse in a field"])
    before = {hit.path.name: hit for hit in plain.search("zorbo", ensemble=False)}
    learned = learn_concept(library, builtin, "Zorbo", photos, LearnOptions(like="cup"))
    assert (learned.concept.name, learned.concept.photos, learned.replaced) == ("Zorbo", 4, False)

    naming = Searcher(library, builtin)
    after = {hit.path.name: hit for hit in naming.search("zorbo", ensemble=False)}
    assert after["cup.png"].rank == 1
    assert after["cup.png"].score > before["cup.png"].score + 0.1
    assert naming.search("a photo of Zorbo on a table")[0].path.name == "cup.png"
    # Queries without the name: bit for bit as before.
    np.testing.assert_array_equal(naming._encoder.encode_texts(["a horse in a field"]), without)
    assert naming.search("a horse") == plain.search("a horse")


@pytest.mark.parametrize(
    ("options", "pace"),
    [
        (LearnOptions(like="dog"), GIVEN_PACE),
        (LearnOptions(), GUESSED_PACE),
        (LearnOptions(steps=3), (3, GUESSED_PACE[1])),
        (LearnOptions(like="dog", rate=0.2), (GIVEN_PACE[0], 0.2)),
        (LearnOptions(steps=3, rate=0.0), (3, 0.0)),
    ],
)
def test_a_guessed_word_is_given_more_time(options: LearnOptions, pace: tuple[int, float]) -> None:
    assert options.pace == pace


@pytest.mark.parametrize("options", [LearnOptions(like="cup", steps=2), LearnOptions(steps=3)])
def test_the_steps_are_taken(builtin: TorchEncoder, options: LearnOptions) -> None:
    examples = builtin.encode_images([Image.fromarray(skimage.data.coffee())])[:, None]
    others = builtin.encode_images([Image.fromarray(skimage.data.astronaut())])
    pupil = Pupil.of(builtin)
    lesson = prepare(pupil, examples, others, "cup", options)
    seen: list[tuple[int, int]] = []
    learn_tokens(pupil.tower, lesson, options, lambda *done: seen.append(done))
    assert seen == [(step + 1, options.steps) for step in range(options.steps or 0)]


def test_a_tower_without_torch_learns_the_same_tokens(builtin: TorchEncoder) -> None:
    """Ten steps with numpy's gradients, and with torch's."""
    options = LearnOptions(like="cup", steps=10)
    examples = builtin.encode_images([Image.fromarray(skimage.data.coffee())])[:, None]
    others = builtin.encode_images([Image.fromarray(skimage.data.astronaut())])
    pupil = Pupil.of(builtin)
    lesson = prepare(pupil, examples, others, "cup", options)
    without = Pupil.of(quick_encoder("builtin", "cpu")).tower
    assert not isinstance(without, type(pupil.tower))
    want = learn_tokens(pupil.tower, lesson, options)
    got = learn_tokens(without, lesson, options)
    moved = np.abs(want - lesson.start).max()
    np.testing.assert_allclose(got, want, atol=0.02 * moved)


def test_the_same_seed_learns_the_same(
    views: Path, library: Library, builtin: TorchEncoder
) -> None:
    photos = sorted((views / "learn").iterdir())
    options = LearnOptions(like="cup", steps=3)
    first = learn_concept(library, builtin, "Zorbo", photos, options)
    again = learn_concept(library, builtin, "ZORBO", photos, options)
    other = learn_concept(library, builtin, "Zorbo", photos, replace(options, seed=1))
    np.testing.assert_array_equal(first.concept.tokens, again.concept.tokens)
    assert np.abs(first.concept.tokens - other.concept.tokens).max() > 0
    assert [again.replaced, other.replaced] == [True, True]


def test_what_it_is_like_is_guessed_from_the_photos(
    views: Path, library: Library, builtin: TorchEncoder
) -> None:
    photos = sorted((views / "learn").iterdir())
    learned = learn_concept(library, builtin, "Zorbo", photos, LearnOptions(steps=1))
    assert learned.concept.like in {"cup", "coffee", "mug", "drink", "tea", "plate", "bowl", "meal"}


def test_photos_that_cannot_be_read_are_named(
    views: Path, library: Library, builtin: TorchEncoder, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no photo")
    options = LearnOptions(like="cup", steps=1)
    learned = learn_concept(library, builtin, "Zorbo", [broken, views / "learn/cup-0.png"], options)
    assert learned.concept.photos == 1
    assert [skip.path for skip in learned.skipped] == [broken]
    with pytest.raises(ConceptInvalid, match=r"no photo .* can be read; the first: .*broken\.jpg"):
        learn_concept(library, builtin, "Other", [broken], options)
    assert [each.name for each in Concepts(library.folder).read()[0]] == ["Zorbo"]


def test_a_name_of_another_model_is_read_as_a_word_with_a_hint(
    views: Path, library: Library, builtin: TorchEncoder
) -> None:
    photos = sorted((views / "learn").iterdir())
    learned = learn_concept(library, builtin, "Zorbo", photos, LearnOptions(like="cup", steps=1))
    without = Searcher(library, builtin)
    Concepts(library.folder).save(replace(learned.concept, fingerprint="of another"))
    stale = Searcher(library, builtin)
    query = parse_query("Zorbo in a field")
    assert without.hint(query) == ""
    assert "Learn it again" in stale.hint(query)
    plain = builtin.encode_texts(["Zorbo in a field"])
    np.testing.assert_array_equal(stale._encoder.encode_texts(["Zorbo in a field"]), plain)


def test_a_model_without_a_text_tower_is_refused(views: Path, tmp_path: Path) -> None:
    colours = ColourEncoder()
    with Library.create(tmp_path / "library", colours) as library:
        index_folders(library, colours, [views / "find"])
        photos = sorted((views / "learn").iterdir())
        with pytest.raises(ModelUnavailable, match="no text tower that could learn a name"):
            learn_concept(library, colours, "Zorbo", photos)
        assert library.counts()[Kind.PHOTO] == len(OTHERS)
        with pytest.raises(ModelMismatch):
            learn_concept(library, load_encoder("builtin", "cpu"), "Zorbo", photos)


def test_on_the_command_line(views: Path, tmp_path: Path) -> None:
    environment = {"TWINLENS_LIBRARY": str(tmp_path / "library"), "COLUMNS": "80"}

    def run(*args: object) -> Result:
        return CliRunner(env=environment).invoke(main, [str(arg) for arg in args])

    photos = sorted((views / "learn").iterdir())
    assert run("learn", "Zorbo", *photos).exit_code == 10  # no library yet
    assert run("index", views / "find").exit_code == 0
    assert run("learn", "--list").exit_code == 4
    assert run("learn", "Zorbo").exit_code == 2
    assert run("learn", "--list", "--forget", "Zorbo").exit_code == 2

    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"")
    done = run("learn", "Zorbo", *photos, broken, "--like", "cup", "--json")
    assert done.exit_code == 3
    assert str(broken) in done.stderr
    said = json.loads(done.stdout)
    assert (said["name"], said["like"], said["photos"]) == ("Zorbo", "cup", 4)
    (listed,) = run("learn", "--list", "--json").stdout.splitlines()
    assert json.loads(listed)["usable"] is True
    assert "Zorbo" in run("learn", "--list").stdout
    found = run("search", "Zorbo on a table", "-t", 1, "-f")
    assert found.stdout == f"{views / 'find' / 'cup.png'}\n"
    assert run("learn", "--forget", "zorbo").exit_code == 0
    assert run("learn", "--forget", "zorbo").exit_code == 2
