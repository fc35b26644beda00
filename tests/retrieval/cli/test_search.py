"""What `twinlens search` prints, and the code it ends with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest
from click.testing import CliRunner
from PIL import Image

from indexer.library.library import Library
from retrieval.cli import main
from retrieval.cli.options import with_reranking
from retrieval.search.search_request import RerankChoice
from tests.fakes import ColourEncoder, draw

if TYPE_CHECKING:
    from tests.retrieval.cli.conftest import Run


def test_search_prints_score_and_path(run: Run, indexed: Path) -> None:
    result = run("search", "red", "--no-words")
    assert result.exit_code == 0
    assert result.stdout == (
        f"1.0000\t{indexed / 'red.png'}\n"
        f"0.7070\t{indexed / 'half.png'}\n"  # sqrt(1/2) = 0.7071, stored as float16
        f"0.0000\t{indexed / 'blue.png'}\n"
    )


def test_search_for_texts_adds_the_text(run: Run, indexed: Path) -> None:
    result = run("search", indexed / "blue.png", "--for", "texts", "-t", 1)
    assert result.stdout == f"1.0000\t{indexed / 'list.txt'}\ta blue door\n"


def test_search_as_json(run: Run, indexed: Path) -> None:
    lines = run("search", "red", "--json", "--no-words").stdout.splitlines()
    first = json.loads(lines[0])
    assert isinstance(first.pop("id"), int)
    assert first == {
        "rank": 1,
        "score": 1.0,
        "match": None,
        "kind": "photo",
        "path": str(indexed / "red.png"),
        "text": "",
        "time": None,
    }
    assert len(lines) == 3


def test_search_tells_what_photos_say(run: Run, photos: Path) -> None:
    exif = Image.Exif()
    exif[0x010F], exif[0x0110], exif[0x4746] = "FUJIFILM", "X100V", 4
    exif.get_ifd(0x8769)[0x9003] = "2019:07:14 18:03:11"
    exif.get_ifd(0x8825).update({1: "N", 2: (41, 53, 31), 3: "E", 4: (12, 30, 41)})
    Image.new("RGB", (8, 8), "green").save(photos / "told.jpg", exif=exif)
    run("index", photos)
    (line,) = run(
        "search", "green", "--camera", "x100", "--near", "Rome,5", "--json"
    ).stdout.splitlines()
    found = json.loads(line)
    assert (found["date"], found["camera"], found["rating"], found["place"]) == (
        "2019-07-14T18:03:11", "Fujifilm X100V", 4, "Rome, Italy",
    )  # fmt: skip
    assert "keywords" not in found
    info = json.loads(run("info", "--json").stdout)["described"]
    assert (info["dated"], info["placed"], info["cameras"]) == (1, 1, [["Fujifilm X100V", 1]])
    assert "2019-07-14 to 2019-07-14, for 1 photos" in run("info").stdout


def test_search_by_filters_alone(run: Run, indexed: Path) -> None:
    assert run("search", "--in", "photos", "--type", "png", "-f").stdout.count("\n") == 3
    nothing = run("search", "red", "--after", "2019")
    assert (nothing.exit_code, nothing.stdout) == (4, "")


def test_search_by_pages(run: Run, indexed: Path) -> None:
    whole = run("search", "red", "-t", 0, "-f").stdout
    pages = [run("search", "red", "-t", 1, "--page", number, "-f").stdout for number in (1, 2, 3)]
    assert "".join(pages) == whole
    assert run("search", "red", "-t", 1, "--offset", 2, "-f").stdout == pages[2]
    behind = run("search", "red", "-t", 1, "--page", 4)
    assert (behind.exit_code, behind.stdout) == (4, "")
    assert behind.stderr == "nothing more matches beyond the first 3\n"


def test_bare_paths(run: Run, indexed: Path) -> None:
    paths = [str(indexed / name) for name in ("red.png", "half.png")]
    assert run("search", "red", "-f", "-t", 2).stdout == "".join(f"{path}\n" for path in paths)
    assert run("search", "red", "-0", "-t", 2).stdout == "".join(f"{path}\0" for path in paths)


def test_names_with_newlines_and_other_bytes(run: Run, photos: Path) -> None:
    odd = draw(photos / "a\nb\udcff.png", "green")
    run("index", photos)
    assert run("search", "green", "-t", 1).stdout_bytes.startswith(b"1.0000\t")
    assert rb"a\nb" + b"\xff.png\n" in run("search", "green", "-t", 1).stdout_bytes
    exact = run("search", "green", "-t", 1, "-0").stdout_bytes
    assert exact == str(odd).encode(errors="surrogateescape") + b"\0"
    (line,) = run("search", "green", "-t", 1, "--json").stdout.splitlines()
    assert json.loads(line)["path"] == str(odd)


def test_search_takes_the_model_of_the_library(run: Run, photos: Path, loaded: list[str]) -> None:
    run("index", photos, "--model", "mine")
    run("search", "red")
    assert loaded == ["mine", "mine"]
    other = run("search", "red", "--model", "other")
    assert (other.exit_code, other.stdout) == (11, "")
    assert other.stderr.count("\n") == 1


def test_search_in_an_empty_library_loads_no_model(
    run: Run, tmp_path: Path, loaded: list[str]
) -> None:
    Library.create(tmp_path / "library", ColourEncoder()).close()
    result = run("search", "red")
    assert (result.exit_code, result.stdout, loaded) == (4, "", [])
    assert result.stderr == "the library has no photos; add some with: twinlens index FOLDER\n"


def test_search_writes_a_contact_sheet(run: Run, indexed: Path, tmp_path: Path) -> None:
    sheet = tmp_path / "found.html"
    result = run("search", "red", "--html", sheet)
    assert result.stderr == f"contact sheet: {sheet}\n"
    assert sheet.read_text(encoding="utf-8").count("<img") == 3


def test_search_hints_at_a_file_of_that_name(
    run: Run, indexed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(indexed)
    result = run("search", "red.png")
    assert result.stderr == "searching for the words; 'red.png' is also a file here: ./red.png\n"


@pytest.mark.parametrize(
    ("charset", "name"),
    [
        ("utf-8", "日é".encode()),
        ("ascii", "日é".encode()),  # as no locale is set
        ("latin-1", b"\\u65e5\xe9"),
    ],
)
def test_names_are_printed_in_any_encoding(
    run: Run, photos: Path, tmp_path: Path, charset: str, name: bytes
) -> None:
    draw(photos / "日é\udcff.png", "green")
    assert run("index", photos).exit_code == 0
    environment = {"TWINLENS_LIBRARY": str(tmp_path / "library")}
    runner = CliRunner(charset=charset, env=environment)
    result = runner.invoke(main, ["search", "green", "-f", "-t", "1"])
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout_bytes.endswith(name + b"\xff.png\n")


def test_an_instruction_that_is_no_utf_8_is_words() -> None:
    @click.command()
    @with_reranking(instruct=True)
    def asked(reranking: RerankChoice) -> None:
        click.echo(reranking.instruct)

    assert CliRunner().invoke(asked, ["--instruct", " no  caf\udce9"]).stdout == "no caf\ufffd\n"


@pytest.mark.usefixtures("indexed")
@pytest.mark.parametrize("name", ["tag", "camera", "in", "near"])
def test_filters_that_are_no_utf_8_find_nothing(run: Run, name: str) -> None:
    result = run("search", f"{name}:caf\udce9")
    assert result.exit_code == (2 if name == "near" else 4), result.stderr
    assert "repair" not in result.stderr


@pytest.mark.usefixtures("with_banks")
def test_search_with_and_without_the_correction(photos: Path, run: Run) -> None:
    assert "creating a library at " in run("index", photos).stderr
    corrected = ["hubness", "corrected for photos found by words, texts found by photo"]
    assert corrected in [
        line.rstrip().split(maxsplit=1) for line in run("info").stdout.splitlines()
    ]
    red = f"\t{photos / 'red.png'}\n"
    assert run("search", "red", "-t", 1, "--no-words").stdout == "0.7500" + red
    assert run("search", "red", "-t", 1, "--no-hubness", "--no-words").stdout == "1.0000" + red
