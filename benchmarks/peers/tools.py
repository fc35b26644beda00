"""The tools that are compared: how each indexes a folder of photos from nothing.

All see the same photos and weights, choose threads and batches themselves as they come, and begin
without a library. What a tool needs once, whatever it indexes (a model's files, twinlens' graphs
and its bank of generic captions), is there before.
"""

from __future__ import annotations

import shutil
import sys
from abc import ABC, abstractmethod
from pathlib import Path

from measure import Command, run, version
from prepare import (
    CLIP_RETRIEVAL,
    HERE,
    OLD_SETUPTOOLS,
    RCLIP,
    RCLIP_PYTHON,
    Work,
    environment,
    say,
)

RCLIP_MODEL = "ViT-B-32-256-datacomp_s34b_b86k"
"""The folder where rclip 4.0.8 looks for its model, whatever weights are in it."""

RCLIP_LEGAL = ("LICENSE", "OPENAI-CLIP-MIT.txt", "README.md", "THIRD_PARTY_NOTICES.md")
"""Files that rclip fetches where they are not beside its model."""

BATCH = ("--batch_size", "64")
"""Of clip-retrieval: as twinlens has it. At its own 256 it warms up for 108 s at each start."""

RCLIP_SIDE = 256
"""Pixels a side that rclip feeds its model."""


class Tool(ABC):
    """One of the tools, ready to run in a work folder."""

    name: str

    def __init__(self, work: Work) -> None:
        self.work = work

    @property
    @abstractmethod
    def version(self) -> str:
        """Its version, and those of what it computes with."""

    @abstractmethod
    def index(self, photos: Path, home: Path) -> Command:
        """Lay out an empty library in `home`, and return the command that fills it."""


class Twinlens(Tool):
    """twinlens from this environment, with the ONNX pair that rclip reads."""

    name = "twinlens"

    @property
    def version(self) -> str:
        """Return its version, and those of what it computes with."""
        return version(sys.executable, "twinlens", "openvino", "faiss-cpu", "pillow")

    @property
    def spec(self) -> str:
        """The model as twinlens names it."""
        return str(self.work.model)

    def index(self, photos: Path, home: Path) -> Command:
        """Return the command that makes a library in `home`, or adds to the one there."""
        where = ["--library", str(home / "library"), "--model", self.spec]
        return self.command("index", str(photos), *where)

    def search(self, home: Path, query: str) -> Command:
        """Return the command that asks the library in `home`."""
        return self.command("search", query, "--library", str(home / "library"))

    def command(self, *arguments: str) -> Command:
        """Return a `twinlens` command; that nothing matches is an answer, too."""
        argv = [sys.executable, "-m", "retrieval.cli", *arguments]
        env = {"TWINLENS_CACHE": str(self.work.folder / "cache")}
        return Command(argv=argv, own=True, done=(0, 4), env=env)

    def blank(self, name: str, spec: str) -> Path:
        """Return a library that knows a model and its bank, and no photo; make it once.

        Both towers are ready then.
        """
        folder, texts = self.work.folder / "blank" / name, self.work.folder / "texts"
        if not folder.exists():
            say(f"preparing twinlens with {name}")
            texts.mkdir(exist_ok=True)
            (texts / "a.txt").write_text("Something to begin with.", encoding="utf-8")
            part = folder.with_suffix(".part")
            shutil.rmtree(part, ignore_errors=True)
            where = ["--library", str(part), "--model", spec]
            run(self.command("index", str(texts), *where))
            run(self.command("index", str(self.work.photos("500px", few=True)), *where))
            run(self.command("forget", str(self.work.photos("500px", few=True)), *where[:2]))
            part.rename(folder)
        return folder


class Rclip(Tool):
    """rclip as it is installed; at another size than 256 pixels, that constant is set first."""

    name = "rclip"

    def __init__(self, work: Work) -> None:
        super().__init__(work)
        environment(work, "rclip", RCLIP, least=RCLIP_PYTHON)
        self._python = str(work.python("rclip"))

    @property
    def version(self) -> str:
        """Return its version, and those of what it computes with."""
        return version(self._python, "rclip", "onnxruntime", "pillow")

    def index(self, photos: Path, home: Path) -> Command:
        """Lay out an empty library in `home`, and return the command that fills it."""
        return self.command(photos, home, "a dog")

    def search(self, home: Path, query: str) -> Command:
        """Return the command that asks the library in `home` about the photos beside it."""
        return self.command(home.parent / "photos", home, "--no-indexing", query)

    def command(self, photos: Path, home: Path, *arguments: str) -> Command:
        """Return an `rclip` command below `photos`, its data in `home`."""
        self._lay_out(home)
        return Command(
            argv=[self._python, "-c", self._start, *arguments],
            cwd=photos,
            env={"RCLIP_DATADIR": str(home)},
        )

    @property
    def _start(self) -> str:
        """What the installed `rclip` runs, and the size before it."""
        sized = "" if self.work.arch.endswith(f"-{RCLIP_SIDE}") else (
            "from rclip.utils import preprocess; preprocess.IMAGE_SIZE = 224; "
        )  # fmt: skip
        return f"{sized}from rclip.main import main; main()"

    def _lay_out(self, home: Path) -> None:
        """Link the model's files to where rclip looks for them."""
        files = {
            "visual.onnx": home / RCLIP_MODEL / "visual.onnx",
            "textual.onnx": home / RCLIP_MODEL / "textual.onnx",
            "bpe_simple_vocab_16e6.txt.gz": home / "tokenizer" / "bpe_simple_vocab_16e6.txt.gz",
        }
        for name, link in files.items():
            link.parent.mkdir(parents=True, exist_ok=True)
            if not link.exists():
                link.symlink_to(self.work.model / name)
        for name in RCLIP_LEGAL:
            (home / name).touch()


class Loop(Tool):
    """Ten lines around open_clip; see `loop.py`."""

    name = "open_clip loop"

    @property
    def version(self) -> str:
        """Return its version, and those of what it computes with."""
        return version(sys.executable, "open_clip_torch", "torch")

    def index(self, photos: Path, home: Path) -> Command:
        """Lay out an empty library in `home`, and return the command that fills it."""
        script = [sys.executable, str(HERE / "loop.py"), "--arch", self.work.arch]
        where = ["--photos", str(photos), "--out", str(home / "vectors.npy")]
        return Command(argv=[*script, "--weights", str(self.work.weights), *where])


class ClipRetrieval(Tool):
    """clip-retrieval's `inference`: vectors in a file, without the index that it builds later."""

    name = "clip-retrieval"

    def __init__(self, work: Work) -> None:
        super().__init__(work)
        environment(work, "clip-retrieval", CLIP_RETRIEVAL, OLD_SETUPTOOLS)
        self._python = str(work.python("clip-retrieval"))

    @property
    def version(self) -> str:
        """Return its version, and those of what it computes with."""
        return version(self._python, "clip-retrieval", "torch", "open_clip_torch")

    def index(self, photos: Path, home: Path) -> Command:
        """Lay out an empty library in `home`, and return the command that fills it."""
        tool = str(Path(self._python).with_name("clip-retrieval"))
        where = ["--input_dataset", str(photos), "--output_folder", str(home / "out")]
        model = ["--clip_model", f"open_clip:{self.work.arch}/{self.work.weights}", *BATCH]
        return Command(argv=[tool, "inference", *where, *model, "--enable_text", "False"], cwd=home)


TOOLS: dict[str, type[Tool]] = {
    tool.name.partition(" ")[0]: tool for tool in (Twinlens, Rclip, Loop, ClipRetrieval)
}
"""By the word that names one on a command line."""
