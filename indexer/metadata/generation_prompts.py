"""Read the prompt that an image generator wrote into a picture.

| program | where | which part |
|---|---|---|
| Stable Diffusion web UIs | `parameters`, a comment of EXIF | what precedes "Negative prompt:" |
| ComfyUI | `prompt`: its nodes as JSON | the texts that lead to "positive" |
| Fooocus, InvokeAI, NovelAI, others | JSON with a prompt | that prompt |

Negative prompts name what is not in the picture, so they are left out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

KEYS = ("parameters", "prompt", "invokeai_metadata", "sd-metadata", "dream", "comment")
"""Texts of a PNG in which prompts are, by their names in small letters."""

_SETTINGS = re.compile(r"(^|\n)\s*(negative prompt:|steps: \d+,).*", re.IGNORECASE | re.DOTALL)
_JSON = re.compile(r'\s*[\[{]\s*["{\[\]}]')
_DREAM = re.compile(r'"(.*)"(?: -\w.*)?', re.DOTALL)
_PROMPTS = ("positive_prompt", "positiveprompt", "prompt", "c")  # the last is of Draw Things
_TEXTS = ("text", "string", "prompt", "value")  # names of what nodes hold words in
_DEEPEST = 20  # levels of JSON


def described(words: str) -> str:
    """Return what a prompt wishes for; other texts as they are, and of other JSON nothing."""
    if _JSON.match(words):
        with suppress(ValueError, RecursionError):
            values = json.loads(words)
            found = _of_nodes(values) or [*_named(values, 0)]
            return "\n".join(dict.fromkeys(each.strip() for each in found)).strip()
        return ""
    spoken = _DREAM.fullmatch(words)
    return _SETTINGS.sub("", spoken[1] if spoken else words).strip()


def _of_nodes(values: Any) -> list[str]:
    """Return the texts of ComfyUI's nodes that lead to "positive"; of all, if none does."""
    if not isinstance(values, Mapping):
        return []
    nodes = {
        name: node["inputs"]
        for name, node in values.items()
        if isinstance(node, Mapping) and isinstance(node.get("inputs"), Mapping)
    }
    wished = [inputs["positive"] for inputs in nodes.values() if "positive" in inputs]
    return [*_leading_to(wished or [[name] for name in nodes], nodes)]


def _leading_to(links: list[Any], nodes: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Yield the texts of the nodes that links lead to, and of those before them."""
    ahead, seen = list(links), set()
    while ahead:
        link = ahead.pop(0)
        name = str(link[0]) if isinstance(link, list) and link else ""
        if name in seen or name not in nodes:
            continue
        seen.add(name)
        for key, value in nodes[name].items():
            if isinstance(value, str) and key.startswith(_TEXTS):
                yield value
            elif key != "negative":
                ahead.append(value)


def _named(values: Any, depth: int) -> Iterator[str]:
    """Yield the prompts of a JSON value by their names, wherever they lie."""
    known = {}
    if isinstance(values, Mapping):
        known = {str(name).lower(): value for name, value in values.items()}
    told = [known[name] for name in _PROMPTS if isinstance(known.get(name), str)]
    if told:
        yield str(told[0])
    elif depth < _DEEPEST:
        for value in values if isinstance(values, list) else known.values():
            yield from _named(value, depth + 1)
