"""Rerankers of transformers score as their models do, whatever the batch, and say what they lack.

The expected scores come from the models themselves, called one couple at a time.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import torch
from huggingface_hub import constants
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import (
    BertConfig,
    BertModel,
    BlipForImageTextRetrieval,
    BlipProcessor,
    Qwen3VLProcessor,
)
from transformers import Qwen3VLForConditionalGeneration as Qwen

from retrieval.errors import ModelUnavailable
from retrieval.rerankers import load_reranker
from retrieval.reranking import FusionWeights, QueryInstruction, Scores
from retrieval.reranking.hf_models import INSTRUCTION, PIXELS
from retrieval.reranking.hf_reranker import (
    DEFAULT,
    HfReranker,
    load_judge,
    load_large_reranker,
    save_fusion,
)
from tests.fakes import ColourEncoder
from tests.hub import COMMIT, Hub, serving
from tests.large import PLACES, tiny_blip, tiny_yes_no

CPU = torch.device("cpu")
SYSTEM = (
    "Judge whether the Document meets the requirements based on the Query and the Instruct "
    'provided. Note that the answer can only be "yes" or "no".'
)
ASKED: list[QueryInstruction] = [
    ("a red dog", ""),
    ("a red dog", "must be black and white"),
    ("two boats on a very long and winding river in autumn.", "only at night"),
    ("x", ""),
    ("a red dog", "no people"),
]


@pytest.fixture(scope="module")
def blip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an image-text matching model."""
    return tiny_blip(tmp_path_factory.mktemp("large") / "blip")


@pytest.fixture(scope="module")
def yes_no(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a yes-or-no model."""
    return tiny_yes_no(tmp_path_factory.mktemp("large") / "yes-no")


@pytest.fixture(params=["blip", "yes_no"])
def folder(request: pytest.FixtureRequest) -> Path:
    """Each of the two."""
    found: Path = request.getfixturevalue(request.param)
    return found


def photos() -> list[Image.Image]:
    """Noise in several shapes."""
    rng = np.random.default_rng(0)
    sizes = [(64, 48), (40, 90), (64, 64), (100, 30), (33, 33)]
    return [Image.fromarray(rng.integers(0, 256, (h, w, 3), dtype=np.uint8)) for w, h in sizes]


def scored(reranker: HfReranker, asked: list[QueryInstruction], seen: list[Image.Image]) -> Scores:
    return reranker.score(asked, reranker.look(seen))


@torch.no_grad()
def test_matching_is_the_difference_of_the_heads_logits(blip: Path) -> None:
    module, processor = (
        each.from_pretrained(blip) for each in (BlipForImageTextRetrieval, BlipProcessor)
    )
    expected = []
    for (query, instruction), photo in zip(ASKED, photos(), strict=True):
        text = f"{query.rstrip('.')}. {instruction}" if instruction else query
        no, yes = module.eval()(**processor(photo, text, return_tensors="pt")).itm_score[0]
        expected.append(float(yes - no))
    found = scored(load_large_reranker(str(blip), CPU), ASKED, photos())
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert np.ptp(found) > 0.5


@torch.no_grad()
def test_yes_or_no_is_the_difference_of_the_answers_logits(yes_no: Path) -> None:
    module, processor = (each.from_pretrained(yes_no) for each in (Qwen, Qwen3VLProcessor))
    tokens = processor.tokenizer.get_vocab()
    expected = []
    for (query, instruction), photo in zip(ASKED, photos(), strict=True):
        asks = f"<Instruct>: {instruction or INSTRUCTION}<Query>:{query}\n<Document>:"
        turns = [("system", SYSTEM), ("user", asks + "<|vision_start|><|image_pad|><|vision_end|>")]
        prompt = "".join(f"<|im_start|>{who}\n{said}<|im_end|>\n" for who, said in turns)
        inputs = processor(
            text=[prompt + "<|im_start|>assistant\n"], images=[photo], return_tensors="pt"
        )
        logits = module.eval()(**inputs).logits[0, -1]
        expected.append(float(logits[tokens["yes"]] - logits[tokens["no"]]))
    found = scored(load_large_reranker(str(yes_no), CPU), ASKED, photos())
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert np.ptp(found) > 0.5


def test_neither_batches_nor_order_change_a_score(folder: Path) -> None:
    together = load_large_reranker(str(folder), CPU)
    judge = load_judge(folder, CPU)
    judge.batch = 2  # type: ignore[misc]
    expected = scored(together, ASKED, photos())
    apart = scored(HfReranker(judge, DEFAULT, "apart"), ASKED, photos())
    np.testing.assert_allclose(apart, expected, atol=1e-5)
    back = scored(together, ASKED[::-1], photos()[::-1])
    np.testing.assert_allclose(back[::-1], expected, atol=1e-5)
    np.testing.assert_array_equal(np.argsort(back[::-1]), np.argsort(expected))


def test_one_photo_is_looked_at_once_for_many_texts(folder: Path) -> None:
    reranker = load_large_reranker(str(folder), CPU)
    (sight,) = reranker.look(photos()[:1])
    many = reranker.score(ASKED, [sight] * len(ASKED))
    single = [reranker.score([asked], [sight])[0] for asked in ASKED]
    np.testing.assert_allclose(many, single, atol=1e-5)


def test_nothing_to_score_is_no_score(folder: Path) -> None:
    reranker = load_large_reranker(str(folder), CPU)
    found: NDArray[np.float64] = reranker.score([], reranker.look([]))
    assert (found.shape, found.dtype) == ((0,), np.float64)


def test_what_is_too_long_is_cut_at_the_end(blip: Path) -> None:
    reranker = load_large_reranker(str(blip), CPU)
    most = (PLACES - 3) // 2
    exact, longer = "a " * most, "a " * (most + 1)
    assert (reranker.cuts(exact), reranker.cuts(longer)) == (False, True)
    asked = [("b " * most, exact), ("b " * PLACES, longer)]
    first, second = scored(reranker, asked, photos()[:1] * 2)
    assert first == pytest.approx(second, abs=1e-5)


def test_marks_of_the_format_in_a_text_are_no_marks(yes_no: Path) -> None:
    reranker = load_large_reranker(str(yes_no), CPU)
    asked = [("a<|image_pad|>dog<|im_end|>", "<|im_start|>"), ("a dog", "")]
    assert np.isfinite(scored(reranker, asked, photos()[:2])).all()
    assert not reranker.cuts("never")
    assert reranker.cuts("never " * 200)  # letters are tokens here


def test_a_photo_larger_than_is_read_keeps_its_shape(yes_no: Path) -> None:
    judge = load_judge(yes_no, CPU)
    (seen,) = judge.look([Image.new("RGB", (4000, 1000))])
    assert isinstance(seen, Image.Image)
    assert 0.99 * PIXELS < seen.width * seen.height <= PIXELS
    assert seen.width / seen.height == pytest.approx(4.0, abs=0.01)


def test_search_loads_it_by_its_folder_with_its_weights(blip: Path, tmp_path: Path) -> None:
    here = shutil.copytree(blip, tmp_path / "mine")
    assert load_reranker(str(here), ColourEncoder()).fusion == DEFAULT
    assert DEFAULT.instructed > 0
    tuned = FusionWeights(text_to_image=0.03, image_to_text=0.0, instructed=0.02)
    save_fusion(tuned, here)
    reranker = load_reranker(str(here), ColourEncoder())
    assert (reranker.fusion, reranker.token_shape) == (tuned, None)
    (here / "fusion.json").write_text('{"text_to_image": -1}')
    with pytest.raises(ModelUnavailable, match=r"fusion\.json' cannot be used: .*0 or above"):
        load_reranker(str(here), ColourEncoder())


def test_without_the_package_it_says_what_to_install(
    blip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("retrieval.reranking.hf_files.find_spec", lambda _: None)
    with pytest.raises(ModelUnavailable, match=r"pip install 'twinlens\[transformers\]', or"):
        load_reranker(str(blip), ColourEncoder())


@pytest.mark.parametrize(
    ("missing", "named"),
    [
        ("model.safetensors", "lacks model.safetensors or"),
        ("tokenizer.json", "lacks tokenizer.json or"),
        ("processor_config.json", "lacks processor_config.json or"),
        ("config.json", "neither reranker.json"),
    ],
)
def test_an_incomplete_folder_names_what_it_lacks(
    missing: str, named: str, folder: Path, tmp_path: Path
) -> None:
    here = shutil.copytree(folder, tmp_path / "mine")
    (here / missing).unlink()
    with pytest.raises(ModelUnavailable, match=named):
        load_large_reranker(str(here), CPU)


def test_a_missing_part_of_the_weights_is_named(blip: Path, tmp_path: Path) -> None:
    here = shutil.copytree(blip, tmp_path / "mine")
    (here / "model.safetensors").rename(here / "model-00001-of-00002.safetensors")
    parts = {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}
    (here / "model.safetensors.index.json").write_text(json.dumps({"weight_map": parts}))
    with pytest.raises(ModelUnavailable, match=r"lacks model-00002-of-00002\.safetensors"):
        load_large_reranker(str(here), CPU)


def test_weights_without_the_matching_head_are_refused(blip: Path, tmp_path: Path) -> None:
    here = shutil.copytree(blip, tmp_path / "mine")
    weights = load_file(here / "model.safetensors")
    kept = {name: tensor for name, tensor in weights.items() if not name.startswith("itm_head")}
    save_file(kept, here / "model.safetensors", {"format": "pt"})
    with pytest.raises(ModelUnavailable, match=r"not those of a BlipFor.*no itm_head\.bias"):
        load_large_reranker(str(here), CPU)


@pytest.mark.parametrize("file", ["model.safetensors", "tokenizer.json", "processor_config.json"])
def test_a_damaged_file_is_refused(file: str, folder: Path, tmp_path: Path) -> None:
    here = shutil.copytree(folder, tmp_path / "mine")
    (here / file).write_bytes((here / file).read_bytes()[:100])
    with pytest.raises(ModelUnavailable, match="cannot be loaded"):
        load_large_reranker(str(here), CPU)


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"model_type": "clip"}'])
def test_a_config_of_nothing_known_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(ModelUnavailable, match=r"cannot be read|Qwen/Qwen3-VL-Reranker-2B\)$"):
        load_large_reranker(str(tmp_path), CPU)


def test_another_architecture_is_named_beside_those_that_are_read(tmp_path: Path) -> None:
    size = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "vocab_size": 9}
    BertModel(BertConfig(intermediate_size=8, **size)).save_pretrained(tmp_path)
    said = r"holds BertModel; .*BlipForImageTextRetrieval \(such as Salesforce/blip-itm-base-coco\)"
    with pytest.raises(ModelUnavailable, match=said):
        load_large_reranker(str(tmp_path), CPU)


def test_a_tokenizer_without_the_answers_is_refused(yes_no: Path, tmp_path: Path) -> None:
    here = shutil.copytree(yes_no, tmp_path / "mine")
    tokenizer = json.loads((here / "tokenizer.json").read_text())
    model = tokenizer["model"]
    model["vocab"]["yet"] = model["vocab"].pop("yes")
    model["merges"] = [pair for pair in model["merges"] if pair != ["ye", "s"]]
    (here / "tokenizer.json").write_text(json.dumps(tokenizer))
    with pytest.raises(ModelUnavailable, match="has no token 'yes'"):
        load_large_reranker(str(here), CPU)


@pytest.mark.parametrize("spec", ["./nowhere", "nowhere", "/no/where", "a/b/c"])
def test_what_is_nowhere_is_told_from_a_hub_id(spec: str) -> None:
    with pytest.raises(ModelUnavailable, match=rf"no reranker '{spec}': use 'builtin'"):
        load_reranker(spec, ColourEncoder())


@pytest.fixture
def online(blip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """An empty cache, and a hub that has a reranker."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with serving(shutil.copytree(blip, tmp_path / "repository"), monkeypatch) as hub:
        yield hub


def test_a_model_is_fetched_once_and_then_never_asked_for(blip: Path, online: Hub) -> None:
    expected = scored(load_large_reranker(str(blip), CPU), ASKED, photos())
    first = load_large_reranker("someone/reranker", CPU)
    np.testing.assert_array_equal(scored(first, ASKED, photos()), expected)
    assert any(line.endswith("/model.safetensors") for line in online.asked)
    online.asked.clear()
    load_large_reranker("someone/reranker", CPU)
    assert online.asked == []


def test_a_fetch_that_broke_off_is_completed(online: Hub) -> None:
    load_large_reranker("someone/reranker", CPU)
    (weights,) = Path(constants.HF_HUB_CACHE).rglob("snapshots/*/model.safetensors")
    weights.resolve().unlink()
    weights.unlink()
    assert load_large_reranker("someone/reranker", CPU).name == "someone/reranker"
    assert weights.exists()


def test_weights_of_another_architecture_are_not_fetched(online: Hub) -> None:
    (online.repository / "config.json").write_text('{"architectures": ["LlamaForCausalLM"]}')
    with pytest.raises(ModelUnavailable, match="holds LlamaForCausalLM"):
        load_large_reranker("someone/reranker", CPU)
    assert not any("safetensors" in line for line in online.asked)


def put_into_cache(cache: Path, files: Path, *names: str) -> None:
    """Lay files of a repository `someone/reranker` into a cache as the hub's client does."""
    repository = cache / "models--someone--reranker"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(COMMIT)
    (repository / "snapshots" / COMMIT).mkdir(parents=True)
    for name in names:
        shutil.copyfile(files / name, repository / "snapshots" / COMMIT / name)


@pytest.fixture
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and no leave to ask the hub."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return tmp_path / "hub"


def test_a_cached_model_needs_no_hub(folder: Path, offline: Path) -> None:
    put_into_cache(offline, folder, *(file.name for file in folder.iterdir()))
    reranker = load_reranker("someone/reranker", ColourEncoder())
    assert isinstance(reranker, HfReranker)
    expected = scored(load_large_reranker(str(folder), CPU), ASKED, photos())
    np.testing.assert_array_equal(scored(reranker, ASKED, photos()), expected)
    assert reranker.name == "someone/reranker"


@pytest.mark.parametrize("names", [(), ("config.json",), ("config.json", "tokenizer.json")])
def test_without_the_hub_it_says_so(names: tuple[str, ...], blip: Path, offline: Path) -> None:
    put_into_cache(offline, blip, *names)
    said = r"cannot fetch the reranker 'someone/reranker': .*HF_HUB_OFFLINE is set; copy them"
    with pytest.raises(ModelUnavailable, match=said):
        load_reranker("someone/reranker", ColourEncoder())


def test_a_hub_that_cannot_be_reached_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with pytest.raises(ModelUnavailable, match=r"http://127\.0\.0\.1:9 cannot be reached"):
        load_reranker("someone/reranker", ColourEncoder())


def test_loading_says_nothing(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    load_large_reranker(str(folder), CPU)
    assert capfd.readouterr() == ("", "")


def _with_code(folder: Path, name: str, **changes: object) -> None:
    """Let a file of a repository ask for code of its own, which leaves a mark when it runs."""
    path = folder / name
    plain = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps(plain | changes))
    mark = f"open({str(folder / 'mark')!r}, 'w').close()\n"
    (folder / "evil.py").write_text(mark + "class C:\n    from_pretrained = print\n")


CODE: dict[str, tuple[str, dict[str, object]]] = {
    "another model": ("config.json", {"model_type": "evil", "auto_map": {"AutoConfig": "evil.C"}}),
    "its own config": (
        "config.json",
        {"auto_map": {"AutoConfig": "evil.C", "AutoModel": "evil.C"}},
    ),
    "a processor": ("processor_config.json", {"auto_map": {"AutoProcessor": "evil.C"}}),
    "a photo's processor": (
        "preprocessor_config.json",
        {"image_processor_type": "C", "auto_map": {"AutoImageProcessor": "evil.C"}},
    ),
    "a tokenizer": (
        "tokenizer_config.json",
        {"tokenizer_class": "C", "auto_map": {"AutoTokenizer": ["evil.C", "evil.C"]}},
    ),
    "another's tokenizer": (
        "tokenizer_config.json",
        {"tokenizer_class": "C", "auto_map": {"AutoTokenizer": ["org/evil--evil.C", None]}},
    ),
    "a setting to trust": (
        "tokenizer_config.json",
        {"auto_map": {"AutoTokenizer": ["evil.C", None]}, "trust_remote_code": True},
    ),
    "a kernel": ("config.json", {"attn_implementation": "org/kernel"}),
    "a kernel of a part": ("config.json", {"text_config": {"_attn_implementation": "org/kernel"}}),
}
"""What a repository may ask to be run: the file that asks, and how."""


@pytest.mark.parametrize(("name", "changes"), CODE.values(), ids=CODE.keys())
def test_code_of_a_repository_is_never_run_and_nobody_is_asked(
    name: str,
    changes: dict[str, object],
    blip: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = Path(shutil.copytree(blip, tmp_path / "evil"))
    _with_code(folder, name, **changes)
    asked: list[object] = []
    monkeypatch.setattr("builtins.input", lambda *words: asked.append(words) or "y")
    monkeypatch.setattr("socket.socket.connect", lambda *to: asked.append(to))
    with suppress(ModelUnavailable):  # or it is read as the data that it is
        load_large_reranker(str(folder), CPU)
    assert asked == []
    assert not (folder / "mark").exists()


class _Evil:
    """Pickled, it is code that runs when it is read."""

    def __init__(self, mark: Path) -> None:
        self._mark = mark

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self._mark,)


@pytest.mark.parametrize("zipped", [True, False])
def test_weights_that_are_code_are_refused(zipped: bool, blip: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(blip, tmp_path / "evil"))
    (folder / "model.safetensors").unlink()
    weights = {"vision_model.a": torch.zeros(1), "evil": _Evil(tmp_path / "mark")}
    torch.save(weights, folder / "pytorch_model.bin", _use_new_zipfile_serialization=zipped)
    with pytest.raises(ModelUnavailable, match="are not plain numbers; save them as"):
        load_large_reranker(str(folder), CPU)
    assert not (tmp_path / "mark").exists()


def test_a_folder_that_names_another_model_asks_no_hub(
    blip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(shutil.copytree(blip, tmp_path / "adapter"))
    named = {"base_model_name_or_path": "org/other", "peft_type": "LORA"}
    (folder / "adapter_config.json").write_text(json.dumps(named))
    asked: list[object] = []
    monkeypatch.setattr("socket.socket.connect", lambda *to: asked.append(to))
    with pytest.raises(ModelUnavailable):
        load_large_reranker(str(folder), CPU)
    assert asked == []
