"""Pairs of ONNX files give the vectors of open_clip, whatever cuts their texts."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from skimage import data as samples

from indexer.core.encoder import Vectors
from indexer.core.types import Kind
from retrieval import load_encoder, quick_encoder
from retrieval.cli import main
from retrieval.errors import ModelUnavailable
from retrieval.models.onnx_pair import read_onnx_pair
from retrieval.models.reference_vectors import generic_captions
from retrieval.models.tokenizer import FileTokenizer, write_file_tokenizer
from retrieval.runtime.graph_encoder import EngineEncoder
from tests.onnx_pairs import Exported, clip_pair, nllb_pair, rclip_pair, siglip_pair, xlm_pair

TEXTS = (
    *("a dog", "Two people, walking along the SEA!", "", "it's a_red car &amp; snow"),
    *("eine Katze schläft", "雪の中の赤い車", "a dog runs on the beach " * 30),
)


@pytest.fixture(scope="module", params=[clip_pair, rclip_pair, siglip_pair, xlm_pair])
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    make: Callable[[Path], Exported] = request.param
    return make(tmp_path_factory.mktemp("onnx") / "model")


@pytest.fixture(scope="module")
def encoder(exported: Exported) -> EngineEncoder:
    made = quick_encoder(str(exported.folder))
    assert isinstance(made, EngineEncoder)
    return made


def test_texts(exported: Exported, encoder: EngineEncoder) -> None:
    cosines = (encoder.encode_texts(TEXTS) * exported.texts(TEXTS)).sum(axis=1)
    assert cosines.min() >= 0.999


def test_texts_are_as_long_as_they_are_where_nothing_sees_the_rest(
    exported: Exported, encoder: EngineEncoder
) -> None:
    """SigLIP's tower looks at what fills a text up, the others do not."""
    encoder.encode_texts(["a dog"])
    tower = encoder._texts
    assert tower is not None
    looks_at_all = read_onnx_pair(exported.folder, "any").canonical
    assert tower.length == (64 if looks_at_all else None)
    alone = encoder.encode_texts(["a dog"])
    beside = encoder.encode_texts(["a dog", "a dog runs on the beach beside two people"])[:1]
    assert (alone * beside).sum() >= 0.9999


def test_photos(exported: Exported, encoder: EngineEncoder) -> None:
    names = ("astronaut", "chelsea", "coffee", "rocket", "brick")
    photos = [Image.fromarray(getattr(samples, name)()).convert("RGB") for name in names]
    cosines = (encoder.encode_images(photos) * exported.images(photos)).sum(axis=1)
    assert cosines.min() >= 0.999
    assert encoder.dim == 32


def test_the_command_line_indexes_and_searches(exported: Exported, tmp_path: Path) -> None:
    for name in ("chelsea", "rocket"):
        (tmp_path / "photos").mkdir(exist_ok=True)
        Image.fromarray(getattr(samples, name)()).save(tmp_path / "photos" / f"{name}.png")
    at = ["--library", str(tmp_path / "library"), "--model", str(exported.folder)]
    assert CliRunner().invoke(main, ["index", str(tmp_path / "photos"), *at]).exit_code == 0
    found = CliRunner().invoke(main, ["search", str(tmp_path / "photos" / "rocket.png"), "-f", *at])
    assert found.stdout.splitlines()[0] == str(tmp_path / "photos" / "rocket.png")


def test_the_reference_set_is_embedded_once_a_model(
    exported: Exported, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = quick_encoder(str(exported.folder)).bank(Kind.TEXT)
    assert len(first) == len(generic_captions())
    monkeypatch.setattr(EngineEncoder, "encode_texts", None)
    again = quick_encoder(str(exported.folder)).bank(Kind.TEXT)
    assert np.allclose(first, again, atol=1e-3)


@pytest.mark.parametrize(
    ("lost", "said"),
    [
        ("textual/model.onnx", "lacks"),
        ("textual/tokenizer.json", "lacks"),
        ("visual/preprocess_cfg.json", "lacks"),
        ("config.json", "lacks"),
    ],
)
def test_a_missing_file_is_named(tmp_path: Path, lost: str, said: str) -> None:
    folder = siglip_pair(tmp_path / "model").folder
    (folder / lost).unlink()
    with pytest.raises(ModelUnavailable, match=f"{said} '{folder / lost}'"):
        quick_encoder(str(folder))


@pytest.mark.parametrize(
    ("broken", "what"),
    [
        ("visual/model.onnx", "is no ONNX file"),
        ("textual/tokenizer.json", "is broken"),
        ("visual/preprocess_cfg.json", "cannot be read"),
    ],
)
def test_a_broken_file_is_named(tmp_path: Path, broken: str, what: str) -> None:
    folder = siglip_pair(tmp_path / "model").folder
    (folder / broken).write_text("{")
    with pytest.raises(ModelUnavailable, match=what):
        quick_encoder(str(folder))


def test_a_text_tower_for_one_text_at_a_time(tmp_path: Path) -> None:
    """Older exports name a batch of one."""
    exported = siglip_pair(tmp_path / "model", batch=1)
    vectors = quick_encoder(str(exported.folder)).encode_texts(TEXTS)
    assert (vectors * exported.texts(TEXTS)).sum(axis=1).min() >= 0.999


def test_training_says_what_to_do(exported: Exported) -> None:
    with pytest.raises(ModelUnavailable, match="pair of ONNX files"):
        load_encoder(str(exported.folder))


def test_weights_beside_a_graph_are_part_of_the_model(tmp_path: Path) -> None:
    """A graph beyond 2 GB keeps its weights in files of any names."""
    pair = read_onnx_pair(siglip_pair(tmp_path / "model").folder, "any")
    before = pair.fingerprint()
    (pair.textual.parent / "onnx__MatMul_7").write_bytes(b"weights")
    assert pair.fingerprint() != before


def test_evaluating(exported: Exported, tmp_path: Path) -> None:
    """Recall is that of open_clip's own vectors: counted here by another formula."""
    names = ("chelsea", "rocket", "coffee", "astronaut")
    photos = [Image.fromarray(getattr(samples, name)()).convert("RGB") for name in names]
    for name, photo in zip(names, photos, strict=True):
        photo.save(tmp_path / f"{name}.png")
    rows = [{"image": f"{name}.png", "captions": [f"a {name}"]} for name in names]
    data = tmp_path / "pairs.jsonl"
    data.write_text("\n".join(map(json.dumps, rows)))
    scores = exported.texts([f"a {name}" for name in names]) @ exported.images(photos).T
    ranks = (scores >= np.diag(scores)[:, None]).sum(axis=1)
    want = 100.0 * float((ranks == 1).mean())
    asked = ["evaluate", "--data", str(data), "--no-hubness", "--json"]
    ran = CliRunner().invoke(main, [*asked, "--model", str(exported.folder)])
    assert ran.exit_code == 0, ran.stderr
    assert json.loads(ran.stdout)["text_to_image"]["R@1"] == want
    both = [*asked, "--compare", str(exported.folder), "builtin"]
    assert CliRunner().invoke(main, both).exit_code == 0


def test_learning_a_name_is_refused_in_one_line(exported: Exported, tmp_path: Path) -> None:
    Image.fromarray(samples.chelsea()).save(tmp_path / "cat.png")
    at = ["--library", str(tmp_path / "library")]
    model = ["--model", str(exported.folder)]
    assert CliRunner().invoke(main, ["index", str(tmp_path), *at, *model]).exit_code == 0
    ran = CliRunner().invoke(main, ["learn", "Tabby", str(tmp_path / "cat.png"), *at])
    assert ran.exit_code == 1
    assert ran.stderr == (
        f"twinlens: the model '{exported.folder}' is a pair of ONNX files: it indexes and "
        "searches, but cannot be trained or learn names; use the built-in model or one of "
        "open_clip for that\n"
    )


@pytest.fixture(scope="module")
def nllb(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    return nllb_pair(tmp_path_factory.mktemp("nllb") / "model")


GERMAN, JAPANESE = "eine Katze schläft auf dem Sofa", "雪の中の赤い車"


@pytest.mark.parametrize(
    ("text", "code"), [("a dog", "eng_Latn"), (GERMAN, "deu_Latn"), (JAPANESE, "jpn_Jpan")]
)
def test_a_model_that_must_be_told_the_language_is_told(
    nllb: Exported, text: str, code: str
) -> None:
    """open_clip's tokenizer is told by `src_lang` of the one of Transformers that it calls."""
    encoder = quick_encoder(str(nllb.folder))
    assert isinstance(encoder, EngineEncoder)
    assert {"eng_Latn", "deu_Latn", "jpn_Jpan"} <= set(encoder.languages())
    nllb.tokenizer.tokenizer.src_lang = code
    want = nllb.texts([text])
    assert (encoder.encode_in([text], code) * want).sum() >= 0.999
    assert ((encoder.encode_texts([text]) * want).sum() >= 0.999) == (code == "eng_Latn")


def test_a_tokenizer_without_the_language_is_given_it(nllb: Exported, tmp_path: Path) -> None:
    """Some exports leave the token to their reader."""
    plain = json.loads((nllb.folder / "textual" / "tokenizer.json").read_text())
    template = plain["post_processor"]
    template["single"] = [part for part in template["single"] if "eng_Latn" not in str(part)]
    (tmp_path / "tokenizer.json").write_text(json.dumps(plain))
    for name in ("tokenizer.json", "whole.json"):
        source = nllb.folder / "textual" / "tokenizer.json"
        source = source if name == "whole.json" else tmp_path / name
        write_file_tokenizer(source, tmp_path / f"made-{name}", context=64, pad=1, canonical=False)
    own, whole = (FileTokenizer(tmp_path / f"made-{name}.json") for name in ("tokenizer", "whole"))
    for code in ("eng_Latn", "deu_Latn"):
        np.testing.assert_array_equal(own.ids([GERMAN], code), whole.ids([GERMAN], code))


def test_the_search_tells_the_language(
    nllb: Exported, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.fromarray(samples.chelsea()).save(tmp_path / "cat.png")
    at = ["--library", str(tmp_path / "library")]
    model = ["--model", str(nllb.folder)]
    assert CliRunner().invoke(main, ["index", str(tmp_path), *at, *model]).exit_code == 0
    told: list[str] = []
    real = EngineEncoder.encode_in

    def noted(self: EngineEncoder, texts: Sequence[str], language: str) -> Vectors:
        told.append(language)
        return real(self, texts, language)

    monkeypatch.setattr(EngineEncoder, "encode_in", noted)
    for more in ([], ["--language", "fr"], ["--language", "nob_Latn"]):
        ran = CliRunner().invoke(main, ["search", GERMAN, "--threshold", "0", *at, *more])
        assert (ran.exit_code, ran.stderr) == (0, "")
    assert told == ["deu_Latn", "fra_Latn", "nob_Latn"]
    ran = CliRunner().invoke(main, ["search", GERMAN, "--language", "xx", *at])
    assert (ran.exit_code, ran.stdout) == (2, "")
    assert "the model knows no language 'xx'; give two letters, such as de" in ran.stderr
