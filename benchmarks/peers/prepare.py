"""What the comparisons need, made once in a work folder: environments, weights, photos.

```
WORK/
  rclip/  clip-retrieval/  onnx/      environments, from the package index
  models/ARCH/                        weights.pt, visual.onnx, textual.onnx, the words' table
  photos/500px/  photos/12mp/         and few/ beside them: the first of each
  cache/                              twinlens' own, of graphs and of the bank
```
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from measure import Command, run

HERE = Path(__file__).parent
RCLIP, CLIP_RETRIEVAL = "rclip==4.0.8", "clip-retrieval==2.45.0"
RCLIP_PYTHON = (3, 12)
"""The oldest that rclip 4 runs on."""

OLD_SETUPTOOLS = "setuptools<70"
"""clip-retrieval's clip-anytorch imports `pkg_resources.packaging`, which later ones lack."""

EXPORTER = ("onnx", "ml_dtypes", "protobuf")
"""What torch's ONNX exporter asks for; in a folder of its own, away from twinlens' environment."""

SIZES = {"500px": (500, 375), "12mp": (4000, 3000)}
FEW = 16  # photos of the short run that is taken from the long one


@dataclass(frozen=True, kw_only=True)
class Work:
    """The work folder, and what is compared in it."""

    folder: Path
    arch: str

    @property
    def model(self) -> Path:
        """Folder of the weights."""
        return self.folder / "models" / self.arch

    @property
    def weights(self) -> Path:
        """The weights as open_clip reads them."""
        return self.model / "weights.pt"

    def python(self, environment: str) -> Path:
        """Return the interpreter of a peer's environment."""
        return self.folder / environment / "bin" / "python"

    def photos(self, size: str, *, few: bool = False) -> Path:
        """Return the folder of the photos of a size: all, or the first alone."""
        return self.folder / "photos" / (f"{size}-few" if few else size)


def with_work(parser: argparse.ArgumentParser) -> None:
    """Add the options that every table has."""
    parser.add_argument("--work", type=Path, required=True, help="folder; made if it is not there")
    parser.add_argument(
        "--arch", default="ViT-B-32-256", help="of open_clip [%(default)s: rclip's]"
    )
    parser.add_argument("--photos", type=Path, default=None, help="to make photos of")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="all measurements as JSON, too")


def work_of(asked: argparse.Namespace) -> Work:
    """Return the work folder with its weights."""
    work = Work(folder=asked.work.resolve(), arch=asked.arch)
    make_weights(work)
    return work


def environment(work: Work, name: str, *packages: str, least: tuple[int, int] = (0, 0)) -> None:
    """Make a virtual environment with packages of the index, one by one, unless it is complete.

    Args:
        work: the work folder.
        name: of the environment's folder.
        packages: as pip names them.
        least: the oldest Python that they run on.
    """
    folder = work.folder / name
    complete = folder / f"complete-{packages[0]}"
    if complete.exists():
        return
    say(f"installing {', '.join(packages)}")
    run(Command(argv=[interpreter(least), "-m", "venv", "--clear", str(folder)]))
    for package in packages:
        run(Command(argv=[str(work.python(name)), "-m", "pip", "install", "-q", package]))
    complete.touch()


def interpreter(least: tuple[int, int]) -> str:
    """Return a Python of a version or a newer one: this one, or one on the path.

    Raises:
        SystemExit: there is none.
    """
    if sys.version_info[:2] >= least:
        return sys.executable
    names = (f"python{least[0]}.{minor}" for minor in range(least[1], least[1] + 4))
    found = next(filter(None, map(shutil.which, names)), None)
    if found is None:
        raise SystemExit(
            f"no Python {least[0]}.{least[1]} or newer on the path, which a peer needs"
        )
    return found


def make_weights(work: Work) -> None:
    """Make weights and their ONNX pair, unless they are there."""
    if work.weights.exists():
        return
    tools = work.folder / "onnx"
    if not tools.exists():
        pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(tools)]
        run(Command(argv=[*pip, *EXPORTER]))
    say(f"making weights of {work.arch}")
    script = [sys.executable, "-W", "ignore", str(HERE / "weights.py")]
    run(
        Command(
            argv=[*script, "--arch", work.arch, "--out", str(work.model)],
            env={"PYTHONPATH": str(tools)},
        )
    )


def make_photos(work: Work, size: str, count: int, source: Path | None) -> None:
    """Make photos of a size unless so many are there; read all, so that they come from memory."""
    folder, few = work.photos(size), work.photos(size, few=True)
    made = sorted(folder.glob("*.jpg"))
    if len(made) != count:
        say(f"making {count} photos of {size}")
        shutil.rmtree(folder, ignore_errors=True)
        script = [sys.executable, str(HERE / "photos.py"), "--out", str(folder)]
        sides = [str(side) for side in SIZES[size]]
        chosen = ["--photos", str(source.resolve())] if source else []
        run(Command(argv=[*script, "--count", str(count), "--size", *sides, *chosen]))
        made = sorted(folder.glob("*.jpg"))
    shutil.rmtree(few, ignore_errors=True)
    few.mkdir()
    for photo in made[:FEW]:
        os.link(photo, few / photo.name)
    for photo in made:
        photo.read_bytes()


def say(what: str) -> None:
    """Tell on stderr what takes a while, and what came of it."""
    print(what, file=sys.stderr, flush=True)
