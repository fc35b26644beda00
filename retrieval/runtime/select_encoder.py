"""Select the fastest encoder for a model on this machine: OpenVINO on a CPU, torch on a GPU."""

from __future__ import annotations

import atexit
import platform
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cached_property, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from indexer.core.encoder import Encoder, TokenShape
from indexer.core.errors import TwinlensError, explained
from retrieval._extras import has_torch
from retrieval.errors import ExtraMissing, ModelUnavailable
from retrieval.models.model_catalog import require_here, spec_of
from retrieval.models.model_folder import (
    BUILTIN,
    CONFIG,
    TWIN,
    WEIGHTS,
    ModelDescription,
    describe,
    file_fingerprint,
    folder_of,
)
from retrieval.models.onnx_pair import onnx_pair_of
from retrieval.runtime.graph_cache import (
    CACHE_VARIABLE,
    GraphCache,
    ModelInfo,
    TokenizerKind,
    Tower,
    engine_folder,
    known_fingerprint,
    remember_fingerprint,
)
from retrieval.runtime.graph_encoder import EngineEncoder

if TYPE_CHECKING:
    from retrieval.models.torch_encoder import TorchEncoder

Note = Callable[[str], None]
Phase = Callable[[str], AbstractContextManager[None]]
"""Shows what takes its time for as long as it does."""

_TOWERS = {Tower.IMAGES: "image", Tower.TEXTS: "text"}

_GPUS = ("/dev/nvidiactl", "/dev/kfd")  # of NVIDIA's driver, of AMD's


def quick_encoder(
    spec: str = BUILTIN,
    device: str = "auto",
    *,
    few: bool = False,
    note: Note = lambda _: None,
    phase: Phase | None = None,
) -> Encoder:
    """Return the quickest encoder for a model; its vectors are torch's to a cosine of 0.999.

    Args:
        spec: of the model, as `retrieval.load_encoder` takes it, or a short name of
            `twinlens models`.
        device: `cpu`, `cuda`, `mps`, or `auto`: a GPU if there is one, and torch, else the CPU.
        few: only a few texts or photos will be encoded, a query's: a GPU is not worth its start.
        note: receives a line where something goes wrong.
        phase: shows what takes its time; without it, `note` receives its name.

    Raises:
        ModelUnavailable: no such model, or its files are not here and cannot be fetched.
        ExtraMissing: it takes torch, which is not installed.
    """
    spec = spec_of(spec)
    pair = onnx_pair_of(spec)
    if pair is not None:
        from retrieval.runtime.onnx_graphs import OnnxSource

        onnx = OnnxSource(pair, phase or partial(_noted, note))
        return EngineEncoder(onnx.about(), onnx, few=few)
    require_here(spec)
    if device != "cpu" and not (device == "auto" and (few or not (has_torch() and has_gpu()))):
        return _load(spec, device)
    source = _Source(spec, note, phase or partial(_noted, note))
    return EngineEncoder(_about(spec) or source.about(), source, few=few)


def has_gpu() -> bool:
    """Return whether torch may find a GPU here: asking torch itself would take two seconds."""
    apple = platform.system() == "Darwin" and platform.machine() == "arm64"
    return apple or any(Path(device).exists() for device in _GPUS)


class _Source:
    """Export the towers of a model.

    Those of the built-in architecture are made from the model's folder. For another one the model
    is loaded in torch.
    """

    def __init__(self, spec: str, note: Note, phase: Phase) -> None:
        self._spec, self._note, self._phase = spec, note, phase
        self._scratch: TemporaryDirectory[str] | None = None

    @property
    def folder(self) -> Path | None:
        """The model's own folder; None for open_clip's."""
        return folder_of(self._spec)

    @cached_property
    def towers(self) -> TorchEncoder:
        """The model in torch."""
        return _load(self._spec, "cpu")

    def about(self) -> ModelInfo:
        """Say what the model is, and keep it for the next time."""
        model = self.towers.model
        from retrieval.runtime.graph_export import describe_model  # needs torch, as towers do

        about = describe_model(model)
        folder = engine_folder(about.fingerprint)
        try:
            folder.make()
            folder.write(about)
        except (OSError, TwinlensError) as error:
            self._note(f"cannot store the facts about the model: {error}")
        remember_fingerprint(*_weights_of(self._spec), about.fingerprint)
        return about

    def prepare(self, folder: GraphCache, part: Tower) -> GraphCache:
        """Make a tower, and return the folder in which it is; see `WeightSource`."""
        if folder.refusal(part).exists():
            return folder
        twin = _twin_folder(self._spec)
        return self._export(folder, part) if twin is None else self._make(*twin, folder, part)

    def _make(
        self, model: Path, said: ModelDescription, folder: GraphCache, part: Tower
    ) -> GraphCache:
        """Make a tower of the built-in architecture, if need be for this process alone."""
        from retrieval.runtime.builtin_parts import make_part

        with self._phase(f"preparing the {self._named(part)} for this computer (once)"):
            try:
                folder.make()
                make_part(model, said, folder, part)
                return folder
            except ModelUnavailable:
                raise
            except (OSError, TwinlensError) as error:
                self._note(f"{self._not_kept(folder, part, error)}; it is made anew each time")
            own = self._own_folder()
            make_part(model, said, own, part)
        return own

    def _own_folder(self) -> GraphCache:
        """Return a folder that goes when this process ends."""
        if self._scratch is None:
            scratch = TemporaryDirectory(prefix="twinlens-", ignore_cleanup_errors=True)
            atexit.register(scratch.cleanup)
            self._scratch = scratch
        return GraphCache(Path(self._scratch.name))

    def _export(self, folder: GraphCache, part: Tower) -> GraphCache:
        """Make a tower of another architecture, or note in its folder why it stays with torch."""
        try:
            with self._phase(
                f"preparing the {self._named(part)} for this computer (once, about 20 s)"
            ):
                towers = self.towers
                from retrieval.runtime.graph_export import (
                    export_part,  # brings torch: seconds of these
                )

                export_part(towers.model, folder, part)
        except ExtraMissing:
            raise
        except (OSError, TwinlensError) as error:
            why = self._not_kept(folder, part, error)
            self._note(f"{why}; PyTorch is used, which starts more slowly")
        return folder

    def _named(self, part: Tower) -> str:
        """Name a tower for a person."""
        whose = "" if self._spec == BUILTIN else f" of {self._spec}"
        return f"{_TOWERS[part]} model{whose}"

    def _not_kept(self, folder: GraphCache, part: Tower, error: OSError | TwinlensError) -> str:
        """Say why a part cannot be stored, and what to do."""
        why = explained(error, folder.path) if isinstance(error, OSError) else error
        return (
            f"cannot store the {self._named(part)}: {why}, or name another folder with "
            f"{CACHE_VARIABLE}"
        )


@contextmanager
def _noted(note: Note, name: str) -> Iterator[None]:
    """Name what takes its time in a note."""
    note(name)
    yield


def _load(spec: str, device: str) -> TorchEncoder:
    """Load a model with torch."""
    from retrieval.models.registry import load_encoder

    return load_encoder(spec, device)


def _twin_folder(spec: str) -> tuple[Path, ModelDescription] | None:
    """Return folder and config of a model of the built-in architecture; None for another one."""
    folder = folder_of(spec)
    said = describe(folder) if folder else None
    if folder is None or said is None or said.architecture["family"] != TWIN:
        return None
    return folder, said


def _about(spec: str) -> ModelInfo | None:
    """Say what a model is without torch, if that is known."""
    twin = _twin_folder(spec)
    fingerprint = known_fingerprint(*_weights_of(spec))
    if twin is None:
        return engine_folder(fingerprint).read() if fingerprint else None
    folder, said = twin
    if fingerprint is None:
        fingerprint = file_fingerprint(said.fingerprinted, folder / WEIGHTS)
        remember_fingerprint(*_weights_of(spec), fingerprint)
    return _about_twin(BUILTIN if spec == BUILTIN else str(folder.resolve()), fingerprint, said)


def _about_twin(name: str, fingerprint: str, said: ModelDescription) -> ModelInfo:
    """Say what a model of the built-in architecture is."""
    image = said.architecture["image"]
    side = image["size"] // image["patch"] // 2
    return ModelInfo(
        name=name,
        fingerprint=fingerprint,
        dim=said.architecture["dim"],
        image=said.image,
        tokens=TokenShape(tokens=1 + side**2, width=image["width"]),
        hubness=said.hubness,
        words=TokenizerKind.PIECES,
        context=said.architecture["text"]["context"],
    )


def _weights_of(spec: str) -> tuple[str, list[Path]]:
    """Return a key for a model, and the files that it changes with."""
    folder = folder_of(spec)
    if folder is not None:
        return str(folder.resolve()), [folder / CONFIG, folder / WEIGHTS]
    file = Path(spec.partition("/")[2]).expanduser()
    return spec, [file] if file.is_file() else []
