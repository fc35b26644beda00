"""Load models, tokenizers and processors as data only: code in a repository is never run.

Transformers asks "run the custom code? [y/N]" unless it is told, and in places takes the answer
from settings in the repository: open_clip passes on the `tokenizer_kwargs` of a model's config.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any, NoReturn


@contextmanager
def data_only() -> Iterator[None]:
    """Let transformers fetch and run no code of a repository, and ask nobody, whatever it reads.

    Code that is wanted raises a `ValueError`. This holds for all threads while it lasts.
    """
    if find_spec("transformers") is None:
        yield
        return
    from transformers import dynamic_module_utils

    dynamic: Any = dynamic_module_utils
    before = dynamic.TIME_OUT_REMOTE_CODE, dynamic.get_cached_module_file
    dynamic.TIME_OUT_REMOTE_CODE = 0  # seconds to wait for an answer; with 0 it does not ask
    dynamic.get_cached_module_file = _refuse  # all code passes it, before it is fetched or run
    try:
        yield
    finally:
        dynamic.TIME_OUT_REMOTE_CODE, dynamic.get_cached_module_file = before


def _refuse(*_: Any, **__: Any) -> NoReturn:
    """Refuse a module of a repository."""
    raise ValueError("it brings code of its own, which twinlens never runs")
