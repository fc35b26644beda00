"""The command line and `PhotoLibrary` give the same answers, to twenty questions and more."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import skimage
from click.testing import CliRunner
from PIL import ExifTags, Image

from retrieval import PhotoLibrary, Scoring, SearchResults
from retrieval import filters as f
from retrieval._resources import resource
from retrieval.cli import main

DATA = Path(skimage.__file__).parent / "data"
ROME, PARIS = (41.9, 12.5), (48.86, 2.35)
TAKEN = {
    "astronaut.png": ("2018:05:01 10:00:00", ROME),
    "chelsea.png": ("2019:06:02 11:00:00", PARIS),
    "clock_motion.png": None,
    "coffee.png": ("2020:07:03 12:00:00", ROME),
    "coins.png": None,
    "grass.png": ("2021:08:04 13:00:00", PARIS),
    "horse.png": ("2022:09:05 14:00:00", ROME),
    "moon.png": None,
    "motorcycle_left.png": ("2023:10:06 15:00:00", PARIS),
    "rocket.jpg": ("2024:11:07 16:00:00", ROME),
}
CAT = DATA / "chelsea.png"
LONG = "a cat that looks into the camera " * 20


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One question, as the command line takes it and as Python does."""

    line: list[str]
    text: str | None = None
    options: dict[str, Any] = field(default_factory=dict)


def asked(line: list[str], text: str | None = None, **options: Any) -> Asked:
    """Put a question both ways; the words are the same unless said."""
    return Asked(line=line, text=text, options=options)


QUESTIONS = {
    "words": asked(["a cat"], "a cat"),
    "other words": asked(["a cup of coffee", "-t", "3"], "a cup of coffee", k=3),
    "a photo": asked([str(CAT)], image=CAT),
    "the bytes of a photo": asked([str(CAT)], image=CAT.read_bytes()),
    "an open picture": asked([str(CAT)], image=Image.open(CAT)),
    "a photo and words": asked([str(CAT), "+", "outer space"], "outer space", image=str(CAT)),
    "a photo less words": asked([str(CAT), "-", "a cat"], "- a cat", image=CAT),
    "terms": asked(["an animal - a horse"], "an animal - a horse"),
    "a negation": asked(["a vehicle without a motorcycle"], "a vehicle without a motorcycle"),
    "only taken away": asked(["- a horse"], "- a horse"),
    "a filter among the words": asked(["animal after:2019-07"], "animal after:2019-07"),
    "joined filters": asked(
        ["an animal", "--after", "2018-06", "--near", "Rome", "--", "-type:png"],
        "an animal",
        where=f.after("2018-06") & f.near("Rome") & ~f.file_type("png"),
    ),
    "either filter": asked(
        ["animal", "--near", "Rome", "--near", "Paris"],
        "animal",
        where=f.near("Rome") | f.near("Paris"),
    ),
    "filters alone": asked(["near:41.9,12.5,5"], where=f.near(ROME, 5)),
    "filters in one line": asked(["after:2019 before:2023"], where="after:2019 before:2023"),
    "an instruction": asked(
        ["a vehicle", "--instruct", "no  motorcycles"], "a vehicle", instruct="no  motorcycles"
    ),
    "an instruction and a filter": asked(
        ["an animal after:2017", "--instruct", "only cats"],
        "an animal",
        where=f.after(2017),
        instruct="only cats",
    ),
    "page two": asked(["an animal", "-t", "3", "--page", "2"], "an animal", k=3, offset=3),
    "beyond the last page": asked(["an animal", "--offset", "40"], "an animal", offset=40),
    "date order": asked(["an animal", "--sort", "date"], "an animal", sort="date"),
    "texts of a photo": asked([str(CAT), "--for", "texts"], image=CAT, target="texts"),
    "texts of words": asked(["kittens", "--for", "texts"], "kittens", target="texts"),
    "nothing matches": asked(["a plate of sushi"], "a plate of sushi"),
    "nothing passes": asked(["a cat camera:canon"], "a cat", where=f.camera("canon")),
    "what is misspelt": asked(["a motorcicle"], "a motorcicle"),
    "what is too long": asked([LONG], LONG),
    "a threshold": asked(["an animal", "--threshold", "0.3"], "an animal", threshold=0.3),
    "no threshold": asked(
        ["a plate of sushi", "--threshold", "0"], "a plate of sushi", threshold=0
    ),
    "all": asked(["an animal", "-t", "0"], "an animal", k=0),
    "no reranker": asked(["an animal", "--no-rerank"], "an animal", rerank=False),
    "a named reranker": asked(
        ["an animal", "--reranker", "builtin"], "an animal", rerank="builtin"
    ),
    "bare cosines": asked(
        ["cat", "--no-hubness", "--no-ensemble", "--no-words"],
        "cat",
        scoring=Scoring(hubness=False, ensemble=False, words=False),
    ),
}


def _photo(source: Path, folder: Path, told: tuple[str, tuple[float, float]] | None) -> None:
    """Write a photo as a JPEG, with a date and a position where they are told; else as it is."""
    image = Image.open(source)
    if told is None:
        image.save(folder / f"{source.stem}.png")
        return
    date, position = told
    exif = Image.Exif()
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = date
    latitude, longitude = position
    exif.get_ifd(ExifTags.IFD.GPSInfo).update(
        {1: "N", 2: (latitude, 0.0, 0.0), 3: "E", 4: (longitude, 0.0, 0.0)}
    )
    image.convert("RGB").save(folder / f"{source.stem}.jpg", exif=exif, quality=90)


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PhotoLibrary]:
    """Ten real photos and forty texts, indexed through the public door."""
    folder = tmp_path_factory.mktemp("photos")
    for name, told in TAKEN.items():
        _photo(DATA / name, folder, told)
    with PhotoLibrary.open(tmp_path_factory.mktemp("made") / "photos.lib") as opened:
        done = opened.index(folder, resource("demo") / "texts.txt")
        assert (done.photos, done.skipped) == (len(TAKEN), ())
        yield opened


def _on_the_command_line(library: PhotoLibrary, line: list[str]) -> tuple[list[Any], list[str]]:
    """Return the hits that the command prints, and its lines for a person."""
    done = CliRunner().invoke(
        main, ["search", "--json", "--library", str(library.path), *line], catch_exceptions=False
    )
    assert done.exit_code in (0, 4), done.stderr
    return [json.loads(row) for row in done.stdout.splitlines()], done.stderr.splitlines()


def _lines(results: SearchResults) -> list[str]:
    """The lines for a person, without the option that shows what is held back."""
    return [*results.notes, *filter(None, [results.message]), *results.doubts]


@pytest.mark.parametrize("name", QUESTIONS)
def test_both_answer_alike(library: PhotoLibrary, name: str) -> None:
    question = QUESTIONS[name]
    printed, told = _on_the_command_line(library, question.line)
    results = library.search(question.text, **question.options)
    assert json.loads(json.dumps([hit.as_json() for hit in results])) == printed
    told = [line.split("; show ")[0] if "--threshold 0" in line else line for line in told]
    if name == "either filter":  # the command line has no sign for it: it asks for two places
        told = [line.replace("near:Rome near:Paris", "near:Rome or near:Paris") for line in told]
    assert _lines(results) == told


def test_there_are_twenty_and_some_find_nothing(library: PhotoLibrary) -> None:
    assert len(QUESTIONS) >= 20
    nothing = library.search("a plate of sushi")
    assert (not nothing, nothing.found, nothing.total) == (True, False, 0)
    assert nothing.nearest is not None
    assert nothing.message.startswith("nothing matches. The nearest is ")
    assert str(nothing.nearest.path) in nothing.message
    assert library.search("a motorcicle").doubts == ("did you mean 'motorcycle' for 'motorcicle'?",)


def test_what_matches_is_counted_without_what_hardly_does(library: PhotoLibrary) -> None:
    every = [hit.id for hit in library.search("an animal", k=0)]
    assert 0 < len(every) < len(TAKEN)
    assert (library.count("an animal").count, library.count("an animal").exact) == (
        len(every),
        True,
    )
    assert list(library.ids("an animal").ids) == every
    assert library.count("a plate of sushi").count == len(library.ids("a plate of sushi").ids) == 0
    assert len(library.search("an animal", k=50)) == len(TAKEN)


def test_results_lead_to_the_next_page(library: PhotoLibrary) -> None:
    seen, offset = [], 0
    while offset is not None:
        page = library.search("an animal", k=4, offset=offset)
        seen += [hit.path for hit in page]
        assert (page.total, page.complete) == (len(TAKEN), True)
        offset = page.next
    assert seen == [hit.path for hit in library.search("an animal", k=0, threshold=0)]


def test_results_say_how_long_each_stage_took(library: PhotoLibrary) -> None:
    stages = library.search("a cat", rerank=True).took_ms
    assert set(stages) == {"models", "encode", "calibrate", "candidates", "rerank"}
    assert min(stages.values()) >= 0
