"""Fetching a pair of ONNX files from the hub into the cache of huggingface_hub.

```
CACHE/models--ORG--NAME/
  blobs/HASH.incomplete      what has come of a file; the next fetch goes on behind it
  blobs/HASH                 a whole file whose hash is right
  snapshots/COMMIT/PATH      links to blobs, made once all are there; the image tower's comes last
  refs/main                  COMMIT; written at the very end
```

So a fetch that ends early leaves nothing that is taken for a model. The client's own download
begins a file anew after an interruption; here files are gigabytes.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path, PurePosixPath
from typing import Any

from filelock import FileLock, Timeout
from huggingface_hub import HfApi, constants, get_session, hf_hub_url
from huggingface_hub.errors import HFValidationError, RepositoryNotFoundError
from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]

from indexer.core.atomic_io import replacing
from retrieval.errors import ModelUnavailable
from retrieval.models.hub import why_absent

Progress = Callable[[int, int], None]
"""Called with the bytes that are here and those in all."""

BLOCK = 1 << 20
"""Bytes of a file that are hashed at once."""

TRIES = 3
"""Attempts in a row that bring nothing, after which a download ends."""

WAIT = 1.0
"""Seconds between two attempts."""

TIMEOUT = 20.0
"""Seconds without a byte after which an attempt ends."""

_REVISION = "main"
_FOLDERS = ("visual", "textual")
_LEFT_OUT = (".armnn", ".rknn")
"""Files for other engines, beside those of the pair."""

_IMAGE_TOWER = "visual/model.onnx"
_PAIR = ("config.json", "textual/model.onnx", "textual/tokenizer.json", _IMAGE_TOWER)
_FULL = (errno.ENOSPC, errno.EDQUOT)


@dataclass(frozen=True, kw_only=True)
class HubFile:
    """A file of a repository, as the hub describes it.

    Attributes:
        path: within the repository.
        size: in bytes.
        digest: sha256 of a large file (LFS); of a small one the id that git gives it.
        is_lfs: whether it is a large one.
    """

    path: str
    size: int
    digest: str
    is_lfs: bool

    def hasher(self) -> Any:
        """Return the hash that `digest` is of, ready for the content."""
        if self.is_lfs:
            return hashlib.sha256()
        return hashlib.sha1(b"blob %d\0" % self.size, usedforsecurity=False)


@dataclass(frozen=True, kw_only=True)
class Fetched:
    """A model that is here now.

    Attributes:
        folder: where its files lie.
        bytes: of all its files.
        received: of these, what this fetch brought.
    """

    folder: Path
    bytes: int
    received: int


def fetch_onnx_pair(repository: str, progress: Progress = lambda _done, _total: None) -> Fetched:
    """Fetch a pair of ONNX files, or the rest of one whose fetch was interrupted.

    Args:
        repository: ORG/NAME on the hub, or on the mirror that `HF_ENDPOINT` names.
        progress: is told how far it is.

    Raises:
        ModelUnavailable: no such repository, or it is no pair; no network; the connection broke;
            a file is not what the hub says it is; the disk is full; another process fetches it.
    """
    if not constants.ENDPOINT.startswith(("http://", "https://")):
        named = constants.ENDPOINT
        raise ModelUnavailable(f"HF_ENDPOINT is '{named}'; give a whole address: https://{named}")
    reason = why_absent()
    if reason is not None:
        raise ModelUnavailable(f"cannot fetch '{repository}': {reason}")
    commit, files = _listed(repository)
    cache_ = _RepositoryCache(repository, commit)
    try:
        with cache_.locked():
            return _fetch(cache_, files, progress)
    except Timeout as error:
        raise ModelUnavailable(f"another process is fetching '{repository}'") from error
    except OSError as error:
        raise _refused(repository, error) from error


def _fetch(cache_: _RepositoryCache, files: Sequence[HubFile], progress: Progress) -> Fetched:
    """Bring all files, then make them a model."""
    total = sum(file.size for file in files)
    before = sum(cache_.size_here(file) for file in files)
    cache_.check_room(total - before)
    done = before
    progress(done, total)
    for file in files:
        rest = done - cache_.size_here(file)
        _bring(cache_, file, lambda here, rest=rest: progress(rest + here, total))  # type: ignore[misc]
        done = rest + file.size
        progress(done, total)
    folder = cache_.publish(files)
    return Fetched(folder=folder, bytes=total, received=total - before)


def _listed(repository: str) -> tuple[str, list[HubFile]]:
    """Ask the hub for the commit of a repository and the files of its pair, the smallest first.

    Raises:
        ModelUnavailable: no such repository, no pair in it, or no answer.
    """
    try:
        said = HfApi(endpoint=constants.ENDPOINT).model_info(
            repository, revision=_REVISION, files_metadata=True, timeout=TIMEOUT
        )
    except (RepositoryNotFoundError, HFValidationError) as error:
        raise ModelUnavailable(
            f"{constants.ENDPOINT} has no model '{repository}', or not for you"
        ) from error
    except (OSError, _transport_error()) as error:
        raise ModelUnavailable(f"cannot fetch '{repository}': {_line(error)}") from error
    files = [_described(each) for each in said.siblings or [] if _is_wanted(each.rfilename)]
    missing = set(_PAIR) - {file.path for file in files}
    if missing:
        raise ModelUnavailable(
            f"'{repository}' is no pair of ONNX files: it lacks {', '.join(sorted(missing))}"
        )
    if not (said.sha or "").isalnum():  # it names a folder
        raise ModelUnavailable(f"{constants.ENDPOINT} does not say which commit '{repository}' is")
    return str(said.sha), sorted(files, key=lambda file: (file.size, file.path))


def _is_wanted(path: str) -> bool:
    """Return whether a file belongs to the pair."""
    file = PurePosixPath(path)
    inside = len(file.parts) == 2 and file.parts[0] in _FOLDERS and file.parts[1] != ".."
    return path == "config.json" or (inside and file.suffix not in _LEFT_OUT)


def _described(sibling: Any) -> HubFile:
    """Read what the hub says of a file."""
    lfs = sibling.lfs
    digest, size = (lfs.sha256, lfs.size) if lfs else (sibling.blob_id, sibling.size)
    if not digest or size is None or not str(digest).isalnum():
        raise ModelUnavailable(f"{constants.ENDPOINT} does not say what '{sibling.rfilename}' is")
    return HubFile(path=sibling.rfilename, size=int(size), digest=digest, is_lfs=bool(lfs))


class _RepositoryCache:
    """Where the files of a repository lie in the cache of huggingface_hub."""

    def __init__(self, repository: str, commit: str) -> None:
        self.repository, self.commit = repository, commit
        self._folder = f"models--{repository.replace('/', '--')}"
        self.path = Path(constants.HF_HUB_CACHE) / self._folder

    def blob(self, file: HubFile) -> Path:
        """Where a whole file lies."""
        return self.path / "blobs" / file.digest

    def part(self, file: HubFile) -> Path:
        """Where what has come of a file lies."""
        return self.path / "blobs" / f"{file.digest}.incomplete"

    def size_here(self, file: HubFile) -> int:
        """Return the bytes of a file that are here."""
        if self.blob(file).is_file():
            return file.size
        part = self.part(file)
        return min(part.stat().st_size, file.size) if part.is_file() else 0

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other fetches of the repository out.

        Raises:
            Timeout: another one is at it.
        """
        locks = Path(constants.HF_HUB_CACHE) / ".locks" / self._folder
        for folder in (locks, self.path / "blobs", self.path / "refs"):
            folder.mkdir(parents=True, exist_ok=True)
        with FileLock(locks / "twinlens.lock", timeout=0):
            yield

    def check_room(self, missing: int) -> None:
        """Refuse to begin what the disk cannot hold.

        Raises:
            OSError: says how much there is and how much it takes.
        """
        free = shutil.disk_usage(self.path).free
        if missing > free:
            raise OSError(
                errno.ENOSPC, f"{_gigabytes(missing)} are to come, and {_gigabytes(free)} are free"
            )

    def publish(self, files: Sequence[HubFile]) -> Path:
        """Make a model of files that are all here; return its folder."""
        folder = self.path / "snapshots" / self.commit
        for file in sorted(files, key=lambda each: each.path == _IMAGE_TOWER):
            _link(self.blob(file), folder / file.path)
        with replacing(self.path / "refs" / _REVISION) as part:
            part.write_text(self.commit, encoding="utf-8")
        return folder


def _bring(cache_: _RepositoryCache, file: HubFile, progress: Callable[[int], None]) -> None:
    """Bring one file, unless it is here, and check it.

    Raises:
        ModelUnavailable: the connection broke for good, or the file is not what the hub says.
        OSError: the disk is full or closed to us.
    """
    if cache_.blob(file).is_file():
        return
    part = cache_.part(file)
    url = hf_hub_url(cache_.repository, file.path, revision=cache_.commit)
    try:
        _complete(url, part, file.size, progress)
    except OSError as error:
        if error.errno in _FULL:
            part.unlink(missing_ok=True)  # gives the room back
        raise
    except _transport_error() as error:
        raise ModelUnavailable(
            f"the download of '{cache_.repository}' broke off in {file.path}, at "
            f"{_gigabytes(_size(part))} of {_gigabytes(file.size)}: {_line(error)}; "
            "run the same command again to continue"
        ) from error
    _check(file, part, cache_.repository)
    part.replace(cache_.blob(file))


def _complete(url: str, part: Path, size: int, progress: Callable[[int], None]) -> None:
    """Add what is missing to a file; after a broken connection, go on a few times.

    Raises:
        httpx's HTTPError: the last attempts brought nothing.
    """
    if _size(part) > size:
        part.unlink()
    part.touch()
    left = TRIES
    while (before := _size(part)) < size:
        error = _tried(url, part, progress)
        left = TRIES if _size(part) > before else left - 1
        if error is not None and (left == 0 or _is_final(error)):
            raise error
        if left == 0:
            raise _transport_error()("the hub sent less than the size it names")
        if error is not None:
            time.sleep(WAIT)


def _tried(url: str, part: Path, progress: Callable[[int], None]) -> Exception | None:
    """Ask once for the rest of a file; return what broke the connection, if it broke."""
    try:
        _add(url, part, progress)
    except _transport_error() as error:
        return error
    return None


def _add(url: str, part: Path, progress: Callable[[int], None]) -> None:
    """Ask once for the rest of a file, and write what comes."""
    here = _size(part)
    headers = build_hf_headers() | ({"Range": f"bytes={here}-"} if here else {})
    headers["Accept-Encoding"] = "identity"  # a range counts the bytes of the file itself
    with get_session().stream("GET", url, headers=headers, timeout=TIMEOUT) as answer:
        answer.raise_for_status()
        whole = answer.status_code != 206  # the server knows no ranges
        with part.open("wb" if whole else "ab") as file:
            here = 0 if whole else here
            for block in answer.iter_bytes():  # as they come: none is lost with the connection
                file.write(block)
                here += len(block)
                progress(here)


def _check(file: HubFile, part: Path, repository: str) -> None:
    """Compare a file with its hash; one that is wrong is removed.

    Raises:
        ModelUnavailable: the hash is another one.
    """
    hasher = file.hasher()
    with part.open("rb") as content:
        while block := content.read(BLOCK):
            hasher.update(block)
    if hasher.hexdigest() == file.digest:
        return
    part.unlink()
    raise ModelUnavailable(
        f"{file.path} of '{repository}' was damaged on the way: its hash is "
        f"{hasher.hexdigest()[:12]}…, and the hub names {file.digest[:12]}…; it was removed. "
        f"Download it again; if that does not help, {constants.ENDPOINT} holds a damaged copy"
    )


def _link(blob: Path, path: Path) -> None:
    """Let a path in a snapshot lead to a whole file, or copy it where there are no links."""
    if path.is_file():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)  # a link that leads nowhere
    try:
        path.symlink_to(os.path.relpath(blob, path.parent))
    except OSError:
        with replacing(path) as part:
            shutil.copyfile(blob, part)


def _refused(repository: str, error: OSError) -> ModelUnavailable:
    """Say why the cache cannot be written to, and what to do."""
    why = error.strerror or str(error)
    if error.errno in _FULL:
        return ModelUnavailable(
            f"cannot fetch '{repository}': the disk of '{constants.HF_HUB_CACHE}' is full: {why}; "
            "make room there, or set HF_HOME to a folder on another disk"
        )
    return ModelUnavailable(
        f"cannot fetch '{repository}' into '{constants.HF_HUB_CACHE}': {why}; set HF_HOME to a "
        "folder that you may write to"
    )


@cache
def _transport_error() -> type[Exception]:
    """Return what the hub's client raises where a connection fails: httpx's base class.

    Versions of huggingface_hub bring httpx under different names.
    """
    package = type(get_session()).__module__.partition(".")[0]
    error: type[Exception] = import_module(package).HTTPError
    return error


def _is_final(error: Exception) -> bool:
    """Return whether the server refused the request, so that asking again is useless."""
    answer = getattr(error, "response", None)
    return answer is not None and 400 <= answer.status_code < 500


def _size(file: Path) -> int:
    """Return the bytes of a file; 0 if there is none."""
    return file.stat().st_size if file.is_file() else 0


def _gigabytes(size: int) -> str:
    """Say a size for a person."""
    return f"{size / 1e9:.2f} GB" if size >= 1e8 else f"{size / 1e6:.1f} MB"


def _line(error: BaseException) -> str:
    """Return the first line of what an error says, or its name."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
