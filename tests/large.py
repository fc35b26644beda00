"""Tiny rerankers of the classes that Hugging Face Transformers has, with random weights."""

from __future__ import annotations

from pathlib import Path

import torch
from tokenizers import pre_tokenizers
from transformers import (
    BertTokenizer,
    BlipConfig,
    BlipForImageTextRetrieval,
    BlipImageProcessor,
    BlipProcessor,
    Qwen2Tokenizer,
    Qwen2VLImageProcessor,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
    Qwen3VLProcessor,
    Qwen3VLVideoProcessor,
)

from tests.fakes import COLOURS

PLACES = 128
"""Tokens that the text encoder of `tiny_blip` reads."""

_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_SPREAD = 0.3  # of the random weights: enough that photos and words tell
_SPECIAL = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|image_pad|>",
    "<|video_pad|>",
)


def tiny_blip(folder: Path, seed: int = 0) -> Path:
    """Save an image-text matching model with its processor; return the folder."""
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ".", *COLOURS, *_LETTERS]
    words += [f"##{letter}" for letter in _LETTERS]
    vision = {"hidden_size": 32, "intermediate_size": 64, "image_size": 32, "patch_size": 16}
    text = {"vocab_size": len(words), "hidden_size": 32, "intermediate_size": 64}
    text |= {"bos_token_id": 2, "sep_token_id": 3}
    layers = {"num_hidden_layers": 2, "num_attention_heads": 4, "initializer_range": _SPREAD}
    config = BlipConfig(
        vision_config={**vision, **layers},
        text_config={**text, **layers, "max_position_embeddings": PLACES},
        image_text_hidden_size=16,
        initializer_range=_SPREAD,
    )
    torch.manual_seed(seed)
    BlipForImageTextRetrieval(config).save_pretrained(folder)
    tokenizer = BertTokenizer({word: number for number, word in enumerate(words)})
    tokenizer.model_max_length = PLACES
    image = BlipImageProcessor(size={"height": 32, "width": 32})
    BlipProcessor(image, tokenizer).save_pretrained(folder)
    return folder


def tiny_yes_no(folder: Path, seed: int = 0) -> Path:
    """Save a vision-language model that can say yes and no, with its processor."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    merged = ["ye", "yes", "no"]
    vocabulary = {token: number for number, token in enumerate([*letters, *merged, *_SPECIAL])}
    tokenizer = Qwen2Tokenizer(vocabulary, [("y", "e"), ("ye", "s"), ("n", "o")])
    tokenizer.add_special_tokens({"additional_special_tokens": list(_SPECIAL)})
    config = Qwen3VLConfig(
        vision_config={
            "depth": 2,
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_heads": 4,
            "out_hidden_size": 32,
            "num_position_embeddings": 16,
            "deepstack_visual_indexes": [0, 1],
            "initializer_range": _SPREAD,
        },
        text_config={
            "vocab_size": len(tokenizer),
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "head_dim": 16,
            "initializer_range": _SPREAD,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 10_000.0,
                "mrope_section": [4, 2, 2],
                "mrope_interleaved": True,
            },
        },
        image_token_id=vocabulary["<|image_pad|>"],
        video_token_id=vocabulary["<|video_pad|>"],
        vision_start_token_id=vocabulary["<|vision_start|>"],
        vision_end_token_id=vocabulary["<|vision_end|>"],
        tie_word_embeddings=True,
    )
    torch.manual_seed(seed)
    Qwen3VLForConditionalGeneration(config).save_pretrained(folder)
    size = {"shortest_edge": 32 * 32, "longest_edge": 96 * 96}
    image = Qwen2VLImageProcessor(size=size, patch_size=16)
    video = Qwen3VLVideoProcessor(patch_size=16)
    Qwen3VLProcessor(image, tokenizer, video).save_pretrained(folder)
    return folder
