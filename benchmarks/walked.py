"""Which modules of ours a query walks through to the table, and a photo to FAISS.

    python benchmarks/walked.py [--list]

A module counts if a function of it runs, in the command or in a decoder process, while nothing is
being imported. What is only imported does not count. Before, a photo is indexed and searched, so
that the library and the compiled graphs are there. The model is the built-in one, the search one of
words with its defaults.

"Behind the model" are the packages that implement the protocols `Encoder` and `Reranker`; who
changes a search or an index run does not walk through them.
"""

from __future__ import annotations

import argparse
import os
import pty
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image
from skimage import data as pictures

ROOTS = tuple(str(Path(__file__).parents[1] / name) + os.sep for name in ("indexer", "retrieval"))
MODEL = ("retrieval/models/", "retrieval/runtime/", "retrieval/builtin_reranker/")

TRACER = """
import os, sys, threading

_seen, _file = set(), os.open(os.environ["WALKED"], os.O_WRONLY | os.O_APPEND)


def _importing(frame):
    while frame is not None:
        if frame.f_code.co_name == "_find_and_load":
            return True
        frame = frame.f_back
    return False


def _trace(frame, event, _argument):
    code = frame.f_code
    if event != "call" or code.co_filename in _seen or not code.co_flags & 1:
        return
    if code.co_filename.startswith(ROOTS) and not _importing(frame):
        _seen.add(code.co_filename)
        os.write(_file, (code.co_filename + chr(10)).encode())


sys.setprofile(_trace)
threading.setprofile(_trace)
"""
"""Runs at the start of each process; writes each module as it is entered."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--list", action="store_true", help="name the modules")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tracer = f"ROOTS = {ROOTS!r}\n{TRACER}"
        (folder / "sitecustomize.py").write_text(tracer, encoding="utf-8")
        photos, library = folder / "photos", ["--library", str(folder / "library")]
        photos.mkdir()
        index, search = ["index", str(photos), *library], ["search", "an astronaut", *library]
        for name in ("astronaut", "chelsea"):
            Image.fromarray(getattr(pictures, name)()).save(photos / f"{name}.jpg")
            found = {"a photo to FAISS": walked(folder, index)}
            found["a query to the table"] = walked(folder, search)
    for what, modules in found.items():
        ours = [each for each in modules if not each.startswith(MODEL)]
        print(f"{what}: {len(ours)} modules, and {len(modules) - len(ours)} behind the model")
        if asked.list:
            print("\n".join(f"  {each}" for each in modules))


def walked(folder: Path, command: list[str]) -> list[str]:
    """Run a command; return the modules of which a function ran."""
    source = str(Path(ROOTS[0]).parent)
    pipe = folder / "walked"  # a decoder process may write to no file
    if not pipe.exists():
        os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDWR)
    os.set_blocking(reader, False)
    settings = {**os.environ, "PYTHONPATH": f"{folder}{os.pathsep}{source}", "WALKED": str(pipe)}
    argv = [sys.executable, "-m", "retrieval.cli", *command]
    screen, terminal = pty.openpty()  # a table is for people
    errors = subprocess.DEVNULL
    subprocess.run(argv, check=True, env=settings, stdout=terminal, stderr=errors)
    os.close(terminal)
    os.close(screen)
    files = os.read(reader, 1 << 16).decode().split()
    os.close(reader)
    return sorted({file.removeprefix(source + os.sep) for file in files})


if __name__ == "__main__":
    main()
