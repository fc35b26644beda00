"""Which model was asked for, and the encoder that runs it: the quickest one, or torch's."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from retrieval._extras import has_torch

if TYPE_CHECKING:
    from indexer.core.encoder import Encoder

BUILTIN = "builtin"


@dataclass(frozen=True, kw_only=True)
class ModelChoice:
    """Which model was asked for, if any, and where it runs.

    Attributes:
        spec: as `retrieval.load_encoder` takes it, or a short name; None where none was asked for.
        device: auto, cpu, cuda or mps.
        note: receives a line where loading may take a while or something goes wrong.
        phase: shows what takes its time for as long as it does; None for a line to `note`.
    """

    spec: str | None = None
    device: str = "auto"
    note: Callable[[str], None] = field(default=lambda _: None, repr=False, compare=False)
    phase: Callable[[str], AbstractContextManager[None]] | None = field(
        default=None, repr=False, compare=False
    )

    def load(self, default: str = BUILTIN) -> Encoder:
        """Load the model that was asked for, else `default`, in torch."""
        from retrieval.models.registry import load_encoder  # brings torch

        return load_encoder(self._named(default), self.device)

    def with_torch(self, default: str = BUILTIN) -> Encoder:
        """Load the model in torch; a pair of ONNX files, which torch cannot run, without it."""
        from retrieval.models.model_catalog import is_pair_on_hub, spec_of
        from retrieval.models.onnx_pair import onnx_pair_of

        spec = spec_of(self.spec or default)
        pair = is_pair_on_hub(spec) or onnx_pair_of(spec) is not None
        return self.quick(default) if pair else self.load(default)

    def measured(self, *, torch: bool = False) -> Encoder:
        """Load the model to measure it: in torch if that is installed or needed."""
        return self.with_torch() if torch or has_torch() else self.quick()

    def quick(self, default: str = BUILTIN, *, few: bool = False) -> Encoder:
        """Return the quickest encoder for it; with `few`, for a query alone."""
        from retrieval.runtime.select_encoder import quick_encoder

        spec = self._named(default)
        return quick_encoder(spec, self.device, few=few, note=self.note, phase=self.phase)

    def _named(self, default: str) -> str:
        """Return the spec, and say so where loading it may take a while."""
        from retrieval.models.model_catalog import spec_of  # takes in numpy

        spec = spec_of(self.spec or default)
        if "/" in spec and not Path(spec).expanduser().exists():
            self.note(f"loading {spec}")
        return spec
