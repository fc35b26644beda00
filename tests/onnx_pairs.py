"""Pairs of ONNX files with random weights, exported from open_clip as photo-search tools do it."""

from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import tokenizers
import torch
from numpy.typing import NDArray
from open_clip.tokenizer import HFTokenizer, SimpleTokenizer, default_bpe
from open_clip.transform import PreprocessCfg, image_transform_v2
from PIL import Image
from tokenizers import decoders, models, normalizers, pre_tokenizers, processors, trainers
from torch.nn import functional as F

VISION = {"image_size": 64, "layers": 2, "width": 64, "head_width": 32, "patch_size": 16}
TEXT = {"context_length": 64, "width": 64, "heads": 2, "layers": 2}
SENTENCES = (
    *("a dog runs on the beach", "two people walk along the sea", "a red car in the snow"),
    *(
        "eine Katze schläft auf dem Sofa",
        "un chien court sur la plage",
        "雪の中の赤い車",
        "海边的狗",
    ),
)


@dataclass(frozen=True)
class Exported:
    """A folder with a pair, and what open_clip itself makes of photos and texts."""

    folder: Path
    images: Callable[[Sequence[Image.Image]], NDArray[np.float32]]
    texts: Callable[[Sequence[str]], NDArray[np.float32]]
    tokenizer: Any = None


def clip_pair(folder: Path) -> Exported:
    """A model whose texts are cut by CLIP's byte pairs."""
    text = {**TEXT, "context_length": 77, "vocab_size": 49408}
    module = open_clip.CLIP(embed_dim=32, vision_cfg=VISION, text_cfg=text)
    plain = SimpleTokenizer()
    (folder / "textual").mkdir(parents=True)
    _clip_tokenizer(plain).save(str(folder / "textual" / "tokenizer.json"))
    return _export(
        folder, module, plain, text, pad="<end_of_text>", preprocess={"mode": "shortest"}
    )


def rclip_pair(folder: Path) -> Exported:
    """The same in rclip's layout."""
    nested = clip_pair(folder.with_name(f"{folder.name}-nested"))
    folder.mkdir()
    for tower in ("visual", "textual"):
        shutil.copyfile(nested.folder / tower / "model.onnx", folder / f"{tower}.onnx")
    vocabulary = folder / "tokenizer" / "bpe_simple_vocab_16e6.txt.gz"
    vocabulary.parent.mkdir()
    shutil.copyfile(default_bpe(), vocabulary)
    return Exported(folder, nested.images, nested.texts)


def siglip_pair(folder: Path, *, batch: int | None = None) -> Exported:
    """A model whose texts are pieces of sentences, in small letters and without punctuation."""
    file = _pieces(folder, normal=True)
    text = {
        **TEXT,
        "vocab_size": file.get_vocab_size(),
        "no_causal_mask": True,
        "proj_bias": True,
        "pool_type": "last",
        "tokenizer_kwargs": {"clean": "canonicalize"},
    }
    built = {key: value for key, value in text.items() if key != "tokenizer_kwargs"}
    module = open_clip.CustomTextCLIP(embed_dim=32, vision_cfg=VISION, text_cfg=built)
    plain = HFTokenizer(str(folder / "textual"), context_length=64, clean="canonicalize")
    squash = {"mode": "squash", "mean": (0.5,) * 3, "std": (0.5,) * 3, "interpolation": "bilinear"}
    return _export(folder, module, plain, text, pad="<pad>", preprocess=squash, batch=batch)


def xlm_pair(folder: Path) -> Exported:
    """A model of many languages with a text tower of Transformers, XLM-R's."""
    from transformers import XLMRobertaConfig

    file = _pieces(folder, normal=False)
    XLMRobertaConfig(
        vocab_size=file.get_vocab_size(),
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=80,
        pad_token_id=file.token_to_id("<pad>"),
    ).save_pretrained(folder / "textual")
    return _of_transformers(folder, pooler="mean_pooler", head="mlp")


def nllb_pair(folder: Path) -> Exported:
    """A model of many languages that must be told which one a text is in, NLLB's."""
    from transformers import M2M100Config, NllbTokenizer

    cutter = tokenizers.Tokenizer(models.BPE(unk_token="<unk>"))
    cutter.pre_tokenizer = pre_tokenizers.Metaspace()
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    cutter.train_from_iterator(
        SENTENCES, trainers.BpeTrainer(vocab_size=200, special_tokens=special)
    )
    trained = json.loads(cutter.to_str())["model"]
    merges = [tuple(pair) for pair in trained["merges"]]
    plain = NllbTokenizer(vocab=trained["vocab"], merges=merges)
    plain.save_pretrained(folder / "textual")
    M2M100Config(
        vocab_size=len(plain),
        d_model=64,
        encoder_layers=2,
        decoder_layers=1,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=128,
        decoder_ffn_dim=128,
        max_position_embeddings=80,
        pad_token_id=plain.pad_token_id,
    ).save_pretrained(folder / "textual")
    return _of_transformers(folder, pooler="cls_pooler", head="linear")


def _of_transformers(folder: Path, *, pooler: str, head: str) -> Exported:
    """Export a model whose text tower is the one of Transformers that the folder describes."""
    text = {
        "hf_model_name": str(folder / "textual"),
        "hf_model_pretrained": False,
        "hf_pooler_type": pooler,
        "hf_proj_type": head,
        "context_length": 64,
    }
    module = open_clip.CustomTextCLIP(embed_dim=32, vision_cfg=VISION, text_cfg=text)
    tokenizer = HFTokenizer(str(folder / "textual"), context_length=64)
    (folder / "textual" / "config.json").unlink()
    return _export(folder, module, tokenizer, {"context_length": 64}, pad="<pad>", preprocess={})


def _export(
    folder: Path,
    module: torch.nn.Module,
    plain: Any,
    text: dict[str, Any],
    *,
    pad: str,
    preprocess: dict[str, Any],
    batch: int | None = None,
) -> Exported:
    """Write the two graphs and the settings beside them."""
    torch.manual_seed(0)
    for weights in module.parameters():
        torch.nn.init.normal_(weights, std=0.1)
    module.eval()
    for tower in ("visual", "textual"):
        (folder / tower).mkdir(parents=True, exist_ok=True)
    said = {
        "size": [64, 64],
        "mean": preprocess.get("mean", open_clip.OPENAI_DATASET_MEAN),
        "std": preprocess.get("std", open_clip.OPENAI_DATASET_STD),
        "interpolation": preprocess.get("interpolation", "bicubic"),
        "resize_mode": preprocess.get("mode", "shortest"),
    }
    (folder / "visual" / "preprocess_cfg.json").write_text(json.dumps(said))
    (folder / "config.json").write_text(json.dumps({"embed_dim": 32, "text_cfg": text}))
    (folder / "textual" / "tokenizer_config.json").write_text(json.dumps({"pad_token": pad}))
    _to_onnx(
        _Call(module.encode_image), "image", torch.zeros(1, 3, 64, 64), folder / "visual", batch
    )
    ids = plain(["a dog"]).int()
    _to_onnx(_Call(module.encode_text), "text", ids, folder / "textual", batch)
    transform = image_transform_v2(
        PreprocessCfg(**{**said, "size": (64, 64), "fill_color": 0}), is_train=False
    )

    @torch.no_grad()
    def images(photos: Sequence[Image.Image]) -> NDArray[np.float32]:
        return F.normalize(
            module.encode_image(torch.stack(list(map(transform, photos)))), dim=-1
        ).numpy()

    @torch.no_grad()
    def texts(words: Sequence[str]) -> NDArray[np.float32]:
        return F.normalize(module.encode_text(plain(list(words))), dim=-1).numpy()

    return Exported(folder, images, texts, plain)


class _Call(torch.nn.Module):
    """A method as a module."""

    def __init__(self, method: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.owner, self.method = method.__self__, method  # type: ignore[attr-defined]

    def forward(self, given: torch.Tensor) -> torch.Tensor:
        return self.method(given)


def _to_onnx(
    module: torch.nn.Module, name: str, given: torch.Tensor, folder: Path, batch: int | None
) -> None:
    """Write one graph, for any batch or for one size alone."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module.eval(),
            (given,),
            str(folder / "model.onnx"),
            input_names=[name],
            output_names=["embedding"],
            dynamic_axes=None if batch else {name: {0: "batch_size"}},
            opset_version=17,
            dynamo=False,
        )


def _clip_tokenizer(plain: SimpleTokenizer) -> tokenizers.Tokenizer:
    """CLIP's tokenizer as a file of the package tokenizers, as Transformers writes it."""
    merges = [tuple(pair) for pair in plain.bpe_ranks]
    file = tokenizers.Tokenizer(
        models.BPE(plain.encoder, merges, end_of_word_suffix="</w>", unk_token="<end_of_text>")
    )
    file.normalizer = normalizers.Sequence(
        [
            normalizers.NFC(),
            normalizers.Replace(tokenizers.Regex(r"\s+"), " "),
            normalizers.Lowercase(),
        ]
    )
    cut = (
        r"<start_of_text>|<end_of_text>|'s|'t|'re|'ve|'m|'ll|'d|"
        r"[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
    )
    file.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(tokenizers.Regex(cut), behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    file.decoder = decoders.ByteLevel()
    ends = [(token, plain.encoder[token]) for token in ("<start_of_text>", "<end_of_text>")]
    file.post_processor = processors.TemplateProcessing(
        single="<start_of_text> $A <end_of_text>", special_tokens=ends
    )
    return file


def _pieces(folder: Path, *, normal: bool) -> tokenizers.Tokenizer:
    """A small tokenizer of pieces of sentences, and the files that Transformers reads it by."""
    (folder / "textual").mkdir(parents=True)
    file = tokenizers.Tokenizer(models.Unigram())
    file.normalizer = normalizers.NFKC()
    file.pre_tokenizer = pre_tokenizers.Metaspace()
    special = ["<s>", "<pad>", "</s>", "<unk>"] if not normal else ["<pad>", "</s>", "<unk>"]
    trainer = trainers.UnigramTrainer(vocab_size=300, special_tokens=special, unk_token="<unk>")
    file.train_from_iterator(SENTENCES, trainer)
    end = ("</s>", file.token_to_id("</s>"))
    if normal:
        file.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[end])
    else:
        file.post_processor = processors.TemplateProcessing(
            single="<s> $A </s>", special_tokens=[("<s>", file.token_to_id("<s>")), end]
        )
    path = folder / "textual" / "tokenizer.json"
    file.save(str(path))
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "pad_token": "<pad>",
        "eos_token": "</s>",
        "unk_token": "<unk>",
    }
    (folder / "textual" / "tokenizer_config.json").write_text(json.dumps(config))
    return file
