"""Large Hugging Face Transformers models that judge whether a photo matches a text.

| class | how it judges | score of a pair |
|---|---|---|
| `BlipForImageTextRetrieval` | its image-text matching head | logit match - logit no match |
| `Qwen3VLForConditionalGeneration` | its answer to a prompt | logit yes - logit no |

Scores are differences of logits: their sigmoid is the probability of a yes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Protocol, cast

import torch
from PIL import Image
from torch import Tensor

from retrieval.errors import ModelUnavailable
from retrieval.models.torch_encoder import batches
from retrieval.reranking.protocol import ImageFeatures, QueryInstruction

INSTRUCTION = "Given a search query, retrieve relevant candidates that answer the query."
"""What the Qwen3-VL-Reranker family is told where nobody instructs it."""

LONGEST = 512
"""Tokens of a query, and of an instruction, that a yes-or-no model reads."""

PIXELS = 1280 * 1024
"""Pixels of a photo that a yes-or-no model reads: 1,280 image tokens, the family's own bound."""

_PROMPT = (
    "<|im_start|>system\nJudge whether the Document meets the requirements based on the Query and "
    'the Instruct provided. Note that the answer can only be "yes" or "no".<|im_end|>\n'
    "<|im_start|>user\n<Instruct>: {instruction}<Query>:{query}\n<Document>:"
    "<|vision_start|><|image_pad|><|vision_end|><|im_end|>\n<|im_start|>assistant\n"
)


class HfModel(Protocol):
    """A Transformers model that judges pairs of texts and photos, with its processor."""

    module: Any
    processor: Any

    @property
    def batch(self) -> int:
        """Number of pairs that are judged at once."""
        ...

    @property
    def adapted(self) -> str:
        """A regular expression for the names of the layers that fine-tuning adapts."""
        ...

    def look(self, photos: Sequence[Image.Image]) -> Sequence[ImageFeatures]:
        """Prepare RGB photos once, for all texts."""
        ...

    def cuts(self, instruction: str) -> bool:
        """Return whether an instruction is longer than the model reads."""
        ...

    def judge(self, asked: Sequence[QueryInstruction], sights: Sequence[ImageFeatures]) -> Tensor:
        """Score pairs, float32, shape (couples,); gradients reach the adapted layers."""
        ...


class ImageTextMatching:
    """BLIP's matching head: word tokens attend to all image tokens.

    The instruction follows the query as a sentence: "two dogs. must be at night". BLIP was taught
    with captions, not instructions: expect it to read them as more caption.

    Source: Li et al. 2022, BLIP (arXiv 2201.12086).

    Args:
        module: a `BlipForImageTextRetrieval`.
        processor: its `BlipProcessor`.
    """

    batch = 32
    adapted = r"text_encoder\..*\.(query|key|value|dense)"

    def __init__(self, module: Any, processor: Any) -> None:
        self.module, self.processor = module, processor
        places = module.config.text_config.max_position_embeddings
        self._reader = _Reader(processor.tokenizer, (places - 3) // 2)  # start, full stop, end

    def look(self, photos: Sequence[Image.Image]) -> Sequence[ImageFeatures]:
        """Return the image tokens, most of the work. Shape (tokens, width) each."""
        parts = [self._states(batch) for batch in batches(photos, self.batch)]
        return [tokens for part in parts for tokens in part.float().cpu().numpy()]

    def cuts(self, instruction: str) -> bool:
        """Return whether an instruction fills more than half of what the text encoder reads."""
        return self._reader.cuts(instruction)

    def judge(self, asked: Sequence[QueryInstruction], sights: Sequence[ImageFeatures]) -> Tensor:
        """Score pairs. Shape (couples,)."""
        texts = [self._joined(query, instruction) for query, instruction in asked]
        tokens = self.processor.tokenizer(texts, padding=True, return_tensors="pt")
        states = self.module.text_encoder(
            input_ids=tokens["input_ids"].to(self.module.device),
            attention_mask=tokens["attention_mask"].to(self.module.device),
            encoder_hidden_states=self._states(sights),
        ).last_hidden_state  # (c, n, width)
        weight, bias = self.module.itm_head.parameters()
        offset: Tensor = (bias[1] - bias[0]).float()
        return _margin(states[:, 0], weight, yes=1, no=0) + offset

    def _joined(self, query: str, instruction: str) -> str:
        """Return query and instruction as one text."""
        parts = [self._reader.shortened(part) for part in (query, instruction) if part]
        return ". ".join([part.rstrip(" .") for part in parts[:-1]] + parts[-1:])

    def _states(self, sights: Sequence[ImageFeatures]) -> Tensor:
        """Return image tokens, of photos or of what `look` made of them. (c, tokens, width)."""
        like = {"device": self.module.device, "dtype": self.module.dtype}
        if not isinstance(sights[0], Image.Image):
            kept = [torch.from_numpy(tokens) for tokens in sights]
            return torch.stack(kept).to(**like)
        pixels = self.processor.image_processor(list(sights), return_tensors="pt")["pixel_values"]
        states: Tensor = self.module.vision_model(pixel_values=pixels.to(**like)).last_hidden_state
        return states


class YesNo:
    """A vision-language model, asked in the words of Qwen3-VL-Reranker for a yes or a no.

    The text is the query and the photo the document, whichever of them a person searches with.

    Source: `scripts/qwen3_vl_reranker.py` of the models' repositories (Qwen/Qwen3-VL-Reranker-2B).

    Args:
        module: a `Qwen3VLForConditionalGeneration`.
        processor: its `Qwen3VLProcessor`.

    Raises:
        ModelUnavailable: the tokenizer has no one token for yes, or for no.
    """

    batch = 8
    adapted = r".*language_model\..*\.(q|k|v|o|gate|up|down)_proj"

    def __init__(self, module: Any, processor: Any) -> None:
        self.module, self.processor = module, processor
        self._reader = _Reader(processor.tokenizer, LONGEST)
        self._yes, self._no = (self._token(answer) for answer in ("yes", "no"))

    def look(self, photos: Sequence[Image.Image]) -> Sequence[ImageFeatures]:
        """Return the photos, none larger than the model reads."""
        return [_bounded(photo) for photo in photos]

    def cuts(self, instruction: str) -> bool:
        """Return whether an instruction has more than `LONGEST` tokens."""
        return self._reader.cuts(instruction)

    def judge(self, asked: Sequence[QueryInstruction], sights: Sequence[ImageFeatures]) -> Tensor:
        """Score pairs. Shape (couples,)."""
        inputs = self.processor(
            text=[self.prompt(query, instruction) for query, instruction in asked],
            images=list(cast("Sequence[Image.Image]", sights)),
            padding=True,
            padding_side="left",  # so that all end at the last place
            return_tensors="pt",
        ).to(self.module.device)
        states = self.module.model(**inputs, use_cache=False).last_hidden_state  # (c, n, width)
        return _margin(states[:, -1], self.module.lm_head.weight, yes=self._yes, no=self._no)

    def prompt(self, query: str, instruction: str) -> str:
        """Return what the model is told, with a place for the photo."""
        parts = (self._reader.shortened(part) for part in (query, instruction or INSTRUCTION))
        query, instruction = (part.replace("<|", "< |") for part in parts)  # no marks of the format
        return _PROMPT.format(query=query, instruction=instruction)

    def _token(self, answer: str) -> int:
        """Return the id of an answer."""
        tokenizer = self.processor.tokenizer
        number = tokenizer.convert_tokens_to_ids(answer)
        if number is None or number == tokenizer.unk_token_id:
            raise ModelUnavailable(
                f"the tokenizer of '{self.module.name_or_path}' has no token '{answer}', which a "
                "reranker in Qwen3-VL-Reranker's format answers with"
            )
        return int(number)


def _margin(states: Tensor, head: Tensor, *, yes: int, no: int) -> Tensor:
    """Return by how much the logit of yes exceeds that of no, float32, shape (c,).

    Large logits in bfloat16 are some tenths apart; their difference is taken in the weights.

    Args:
        states: shape (c, width).
        head: shape (answers, width).
        yes: row of the answer yes.
        no: row of the answer no.
    """
    return states.float() @ (head[yes].float() - head[no].float())


class _Reader:
    """Cuts texts to so many tokens.

    Args:
        tokenizer: of the model.
        longest: tokens that are read.
    """

    def __init__(self, tokenizer: Any, longest: int) -> None:
        self._tokenizer, self._longest = tokenizer, longest

    def cuts(self, text: str) -> bool:
        """Return whether a text is longer."""
        return len(self._ends(text)) > self._longest

    def shortened(self, text: str) -> str:
        """Return as much of a text as is read."""
        ends = self._ends(text)
        return text if len(ends) <= self._longest else text[: ends[self._longest - 1]]

    def _ends(self, text: str) -> list[int]:
        """Return where in the text each token ends."""
        read = self._tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        return [end for _, end in read["offset_mapping"]]


def _bounded(photo: Image.Image) -> Image.Image:
    """Return a photo of `PIXELS` pixels at most, in its shape."""
    shrink = math.sqrt(PIXELS / (photo.width * photo.height))
    if shrink >= 1.0:
        return photo
    size = (max(1, int(photo.width * shrink)), max(1, int(photo.height * shrink)))
    return photo.resize(size, Image.Resampling.BICUBIC, reducing_gap=2.0)
