"""What each command prints, and the code it ends with."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest
from click.testing import CliRunner
from PIL import Image

import retrieval
from indexer.core.types import Kind
from indexer.library.library import Library
from retrieval.cli import app, main
from retrieval.cli.commands.index import MANY
from retrieval.cli.options import with_reranking
from retrieval.search.search_request import RerankChoice
from tests.fakes import ColourEncoder, draw
from tests.retrieval.cli.conftest import LOADERS
from tests.tiny import tiny_model

if TYPE_CHECKING:
    from tests.retrieval.cli.conftest import Run


def test_index_says_what_it_did(run: Run, photos: Path) -> None:
    first, second = run("index", photos), run("index", photos)
    assert first.stdout.startswith("3 photos added, 2 texts added in ")
    assert second.stdout.startswith("4 unchanged in ")
    assert (first.exit_code, second.exit_code) == (0, 0)


def test_of_many_photos_the_rate_and_the_device_are_told(run: Run, tmp_path: Path) -> None:
    for number in range(MANY):
        draw(tmp_path / "many" / f"{number}.png", "red", "blue", size=(8 + number, 8))
    told = run("index", tmp_path / "many").stdout
    assert re.fullmatch(rf"{MANY} photos added in \S+ s, \d+ photos/s on cpu\n", told)


def test_index_as_json(run: Run, photos: Path) -> None:
    done = json.loads(run("index", photos, "--json").stdout)
    done.pop("seconds")
    assert done == {
        "photos": 3,
        "videos": 0,
        "texts": 2,
        "updated": 0,
        "moved": 0,
        "removed": 0,
        "unchanged": 0,
        "skipped": [],
        "damaged": [],
        "still": 0,
        "device": "cpu",
        "passed_over": {},
    }


def test_truncated_photos_are_told_how_to_be_read(run: Run, photos: Path) -> None:
    whole = draw(photos / "whole.jpg", "red", "blue").read_bytes()
    (photos / "cut.jpg").write_bytes(whole[:-20])
    hint = "the readable part of truncated photos, add --allow-truncated\n"
    assert run("index", photos).stderr.endswith(hint)
    again = run("index", photos, "--allow-truncated")
    assert (again.exit_code, again.stderr) == (0, "")


def test_a_damaged_file_that_was_read_is_named_and_gives_0(run: Run, photos: Path) -> None:
    path = draw(photos / "whole.jpg", "red", "blue")
    path.write_bytes(path.read_bytes()[:-2])
    result = run("index", photos, "--json")
    reason = "its end marker is missing; the picture is there"
    assert (result.exit_code, result.stderr.splitlines()[-1]) == (
        0,
        f"read all the same, {path}: {reason}",
    )
    told = json.loads(result.stdout)
    assert told["damaged"] == [{"path": str(path), "reason": reason}]
    assert (told["photos"], told["skipped"]) == (4, [])


def test_a_broken_file_is_listed_and_gives_3(run: Run, photos: Path) -> None:
    (photos / "broken.jpg").write_bytes(b"no photo")
    result = run("index", photos)
    assert result.exit_code == 3
    assert f"skipping {photos / 'broken.jpg'}: not an image" in result.stderr
    assert "3 photos added, 2 texts added, 1 skipped" in result.stdout


def test_old_broken_files_do_not_give_3_for_ever(run: Run, photos: Path) -> None:
    for name in "abc":
        (photos / f"broken-{name}.jpg").write_bytes(b"no photo")
    first, second = run("index", photos), run("index", photos)
    assert (first.exit_code, second.exit_code) == (3, 0)
    assert first.stderr.count("skipping ") == 3
    told = f"still skipped, as before: {photos / 'broken-a.jpg'}: not an image Pillow can read"
    assert second.stderr == f"{told} and 2 more\n"
    assert "4 unchanged, 3 still skipped in " in second.stdout
    assert len(json.loads(run("index", photos, "--json").stdout)["skipped"]) == 3
    # A new one, and an old one that changed, are told in full.
    (photos / "broken-d.jpg").write_bytes(b"none either")
    (photos / "broken-a.jpg").write_bytes(b"another, of another length")
    third = run("index", photos)
    assert third.exit_code == 3
    named = [line for line in third.stderr.splitlines() if line.startswith("skipping ")]
    assert [Path(line.split(":")[0]).name for line in named] == ["broken-a.jpg", "broken-d.jpg"]
    assert "2 skipped, 2 still skipped" in third.stdout
    assert run("index", photos).exit_code == 0
    reindexed = run("reindex", "--model", "other")
    assert (reindexed.exit_code, reindexed.stderr.count("still skipped")) == (0, 1)


def test_index_passes_over_what_it_is_told_to(run: Run, photos: Path) -> None:
    draw(photos / "thumbs" / "small.png", "green")
    draw(photos / ".attic" / "old.png", "green")
    assert "3 photos added" in run("index", photos, "--exclude-dir", "thumbs").stdout
    assert "2 photos added" in run("index", photos, "--include-hidden").stdout


def test_index_keeps_to_the_model_of_the_library(run: Run, photos: Path, loaded: list[str]) -> None:
    run("index", photos, "--model", "mine")
    run("index", photos)
    assert loaded == ["mine", "mine"]
    other = run("index", photos, "--model", "other")
    assert (other.exit_code, other.stdout) == (11, "")


def test_index_of_a_missing_folder_makes_no_library(run: Run, tmp_path: Path) -> None:
    result = run("index", tmp_path / "nowhere")
    assert (result.exit_code, result.stdout) == (2, "")
    assert not (tmp_path / "library").exists()


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


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (["search", ""], 2, "the query is empty"),
        (["search", "./gone.jpg"], 2, "no file at 'gone.jpg'"),
        (["search", "./\x1b[31m.jpg"], 2, "no file at '\\x1b[31m.jpg'"),
        (["search"], 2, "the query is empty"),
        (["search", "x", "--top", "-1"], 2, "--top"),
        (["search", "x", "--after", "soon"], 2, "'soon' is not a date"),
        (["search", "x", "--nonsense"], 2, "No such option"),
        (["nonsense"], 2, "No such command 'nonsense'"),
        (["serch", "red"], 2, "No such command 'serch'; did you mean search?; see"),
        (["search", "x"], 10, "no library at"),
        (["info"], 10, "no library at"),
        (["evaluate", "--data", "gone.jsonl"], 2, "gone.jsonl"),
        (
            ["train-reranker", "--triples", "x", "--out", "y"],
            2,
            "needs --init; see 'twinlens train",
        ),
    ],
)
def test_an_error_is_one_line_on_stderr(run: Run, args: list[str], code: int, message: str) -> None:
    result = run(*args)
    assert result.exit_code == code
    assert result.stdout == ""
    assert result.stderr.startswith("twinlens: ")
    assert message in result.stderr
    assert result.stderr.count("\n") == 1
    assert result.stderr.count("; see ") <= 1


def test_a_locked_library_gives_12(run: Run, indexed: Path, tmp_path: Path) -> None:
    with Library.open(tmp_path / "library") as library, library.writing():
        result = run("index", indexed, "--no-wait")
    assert (result.exit_code, result.stdout) == (12, "")


def test_a_damaged_library_gives_11(run: Run, indexed: Path, tmp_path: Path) -> None:
    (tmp_path / "library" / "catalog.sqlite").write_bytes(b"no database" * 100)
    result = run("search", "red")
    assert (result.exit_code, result.stdout) == (11, "")


@pytest.mark.parametrize(
    ("raised", "code", "line"),
    [
        (KeyboardInterrupt(), 130, "twinlens: interrupted\n"),
        (BrokenPipeError(), 0, ""),
        (
            PermissionError(13, "Permission denied", "x"),
            1,
            "twinlens: Permission denied: 'x'; its owner can give you access with: "
            "chmod -R u+rwX 'x'\n",
        ),
        (ZeroDivisionError("oh"), 1, "unexpected ZeroDivisionError: oh; TWINLENS_DEBUG=1 shows"),
    ],
)
def test_what_nobody_planned_has_a_code_too(
    run: Run, monkeypatch: pytest.MonkeyPatch, raised: BaseException, code: int, line: str
) -> None:
    def fail(_query: str, *, filters: list[tuple[str, str]]) -> None:
        raise raised

    monkeypatch.setattr(retrieval, "parse_query", fail, raising=False)
    monkeypatch.setattr(app, "_drop_stdout", lambda: None)  # the test runner's has no number
    result = run("search", "x")
    assert result.exit_code == code
    assert line in result.stderr


def test_info_for_people_and_programs(run: Run, indexed: Path, tmp_path: Path) -> None:
    shown = [line.rstrip().split(maxsplit=1) for line in run("info").stdout.splitlines()]
    assert ["photos", "3"] in shown
    assert ["model", "builtin (fingerprint ), 9 dimensions"] in shown
    assert ["hubness", "not corrected"] in shown
    info = json.loads(run("info", "--json").stdout)
    assert info.pop("bytes") > 0
    assert info == {
        "library": str(tmp_path / "library"),
        "photos": 3,
        "videos": 0,
        "frames": 0,
        "texts": 2,
        "skipped": 0,
        "folders": [str(indexed)],
        "model": "builtin",
        "fingerprint": "fingerprint of builtin",
        "dim": 9,
        "hubness": [],
        "described": {"first": None, "last": None, "dated": 0, "placed": 0, "cameras": []},
        "format": 6,
    }


def test_evaluate_for_people_and_programs(run: Run, photos: Path) -> None:
    rows = [{"image": f"{name}.png", "captions": [name]} for name in ("red", "blue")]
    data = photos / "pairs.jsonl"
    data.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    plain = json.loads(run("evaluate", "--data", data, "--json").stdout)
    assert (plain["images"], plain["text_to_image"]["R@1"]) == (2, 100.0)
    shown = run("evaluate", "--data", data)
    assert shown.exit_code == 0
    assert "the top 10 of 2 photos" in shown.stderr
    assert "builtin: 2 photos, 2 captions" in shown.stdout
    assert "100.0 %  100.0 to 100.0" in shown.stdout


@pytest.fixture
def with_banks(monkeypatch: pytest.MonkeyPatch, loaded: list[str]) -> None:
    """Every model has generic words and photos: red ones."""
    encoder = ColourEncoder(generic={kind: ["red"] for kind in Kind})
    for name in LOADERS:
        monkeypatch.setattr(name, lambda *_, **__: encoder)


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


@pytest.mark.usefixtures("with_banks")
def test_evaluate_shows_both_ways(photos: Path, run: Run) -> None:
    data = photos / "pairs.jsonl"
    data.write_text('{"image": "red.png", "captions": ["red"]}\n', encoding="utf-8")
    names = [line.split("  ")[0] for line in run("evaluate", "--data", data).stdout.splitlines()]
    assert {"R@1", "R@1 by cosine", "median rank", "median rank by cosine"} <= set(names)
    plain = run("evaluate", "--data", data, "--no-hubness").stdout
    assert "by cosine" not in plain
    found = json.loads(run("evaluate", "--data", data, "--json", "--no-hubness").stdout)
    assert found["hubness"] is None
    assert found["without_hubness"]["text_to_image"] == found["text_to_image"]


def test_evaluate_lists_what_it_left_out(run: Run, photos: Path) -> None:
    rows = [{"image": f"{name}.png", "captions": [name]} for name in ("red", "gone")]
    data = photos / "pairs.jsonl"
    data.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    result = run("evaluate", "--data", data)
    assert result.exit_code == 3
    assert "skipping" in result.stderr
    assert "gone.png" in result.stderr


def test_evaluate_compares_two_models(run: Run, photos: Path, loaded: list[str]) -> None:
    rows = [{"image": f"{name}.png", "captions": [name]} for name in ("red", "blue", "gone")]
    data = photos / "pairs.jsonl"
    data.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    shown = run("evaluate", "--data", data, "--compare", "mine", "yours")
    assert loaded == ["mine", "yours"]
    assert shown.exit_code == 3
    assert shown.stderr.count("gone.png") == 1
    assert "A mine, B yours: 2 photos, 2 captions" in shown.stdout
    rows = [line.split() for line in shown.stdout.splitlines()]
    assert ["R@1", "100.0", "100.0", "+0.0", "+0.0", "to", "+0.0", "1.0000"] in rows
    assert ["median", "rank", "1", "1"] in rows
    assert [
        "sum",
        "of",
        "all",
        "R@k",
        "600.0",
        "600.0",
        "+0.0",
        "+0.0",
        "to",
        "+0.0",
        "1.0000",
    ] in (rows)
    plain = json.loads(
        run("evaluate", "--data", data, "--compare", "mine", "yours", "--json").stdout
    )
    assert plain["first"]["model"] == "mine"
    assert plain["differences"]["image_to_text"]["recall@5"]["p"] == 1.0


def test_evaluate_compares_two_models_and_no_third(run: Run, photos: Path) -> None:
    (photos / "x.jsonl").write_text('{"image": "red.png", "caption": "red"}', encoding="utf-8")
    data = ("--data", photos / "x.jsonl")
    result = run("evaluate", *data, "--model", "a", "--compare", "b", "c")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "leave out --model" in result.stderr


def test_blend_mixes_in_the_order_of_the_models(run: Run, tmp_path: Path) -> None:
    for seed in range(3):
        tiny_model(tmp_path / f"{seed}", seed)
    models = [tmp_path / f"{seed}" for seed in range(3)]

    def shares(*args: object) -> list[float]:
        out = tmp_path / f"out{len(list(tmp_path.iterdir()))}"
        result = run("blend", *args, "--out", out)
        assert (result.exit_code, result.stdout) == (0, "")
        assert result.stderr.startswith(f"wrote {out} = ")
        record = json.loads((out / "train.json").read_text(encoding="utf-8"))
        return [part["share"] for part in record["blend"]]

    assert shares(*models[:2], "--weight", 0.6) == [0.6, 0.4]
    assert shares(*models[:2], "--weight", 0, "--weight", 1) == [0.0, 1.0]
    assert shares(*models) == [1 / 3] * 3
    assert shares(*models, "--weight", 0.5, "--weight", 0.25, "--storage", "int8") == [
        0.5, 0.25, 0.25,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["a"], "two models or more"),
        (["a", "b", "c", "--weight", "0.5"], "3 models need 2 or 3 --weight, not 1"),
        (["0", "1", "--weight", "1.5"], "add up to 1, not 1.5, -0.5"),
    ],
)
def test_blend_refuses_shares_that_are_none(
    run: Run, tmp_path: Path, args: list[str], message: str
) -> None:
    for seed in range(2):
        tiny_model(tmp_path / f"{seed}", seed)
    named = [str(tmp_path / arg) if arg in "01" else arg for arg in args]
    result = run("blend", *named, "--out", tmp_path / "out")
    assert (result.exit_code, result.stdout) == (2, "")
    assert message in result.stderr
    assert not (tmp_path / "out").exists()


def test_train_refuses_patience_without_pairs_to_count_on(run: Run, tmp_path: Path) -> None:
    result = run("train", "--pairs", "x.jsonl", "--out", tmp_path / "out", "--patience", 3)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "name them with --val" in result.stderr


def test_the_list_of_commands_says_whole_sentences(run: Run) -> None:
    _, _, commands = run("--help").stdout.partition("Commands:\n")
    lines = commands.partition("\n\n")[0].splitlines()
    assert len(lines) == len(app.COMMANDS)
    assert [line for line in lines if line.endswith("...")] == []


def test_no_command_shows_the_help(run: Run) -> None:
    assert run().stdout == run("--help").stdout


def test_version(run: Run) -> None:
    assert run("--version").stdout.startswith("twinlens ")
