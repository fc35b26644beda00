"""What a server may be told: where it listens, who may ask, and how much."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from indexer.core.errors import UsageError

LOOPBACK_NAMES = ("127.0.0.1", "localhost", "[::1]")
"""What a browser on this machine may call the server."""

ANYWHERE = ("0.0.0.0", "::")
"""Addresses that stand for all of the machine's own."""

UPLOADS = ("/api/v1/queries", "/v1/embeddings")
"""Paths whose bodies hold pictures."""

SHORTEST_TOKEN = 16


@dataclass(frozen=True, kw_only=True)
class ServeSettings:
    """How one server runs.

    Attributes:
        host: the address it listens on.
        port: its port; 0 lets the system choose.
        token: what a request must bring; needed for any host but this machine itself.
        names: further host names under which it may be asked.
        thumbs_bytes: what the thumbnails of a library may take on the disk.
        workers: how many requests of one library are worked on at once.
        waiting: how many requests of one library may wait; more are refused with 503.
        requests: how many requests may be in progress, streams included.
        deadline: seconds that the work of a request may take, waiting included.
        body_bytes: the largest body of a request.
        body_seconds: in which it has to be there.
        buffer_bytes: of all bodies in memory.
        upload_bytes: the largest picture to search with.
        picture_bytes: what the pictures to search with may take in memory.
        picture_seconds: for how long one is kept after its last use.
    """

    host: str = "127.0.0.1"
    port: int = 7878
    token: str | None = None
    names: tuple[str, ...] = ()
    thumbs_bytes: int = 1 << 30
    workers: int = 2
    waiting: int = 64
    requests: int = 200
    deadline: float = 30.0
    body_bytes: int = 1 << 20
    body_seconds: float = 30.0
    buffer_bytes: int = 128 << 20
    upload_bytes: int = 25_000_000
    picture_bytes: int = 64 << 20
    picture_seconds: float = 3_600.0

    def __post_init__(self) -> None:
        if not self.is_local and self.token is None:
            raise UsageError(
                f"--host {self.host} lets other machines ask; it needs a token: --token WORD, or "
                "the variable TWINLENS_TOKEN"
            )
        if self.token is not None and len(self.token) < SHORTEST_TOKEN:
            raise UsageError(f"a token needs {SHORTEST_TOKEN} characters or more")
        if self.token is not None and not self.token.isascii():
            raise UsageError("a token needs plain ASCII characters")

    @property
    def is_local(self) -> bool:
        """Tell whether only this machine can ask."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def allowed_names(self) -> frozenset[str]:
        """The host names under which it answers, in lower case."""
        own = () if self.host in ANYWHERE else (_named(self.host),)
        return frozenset(name.lower() for name in (*LOOPBACK_NAMES, *own, *self.names))

    def body_limit(self, path: str) -> int:
        """Return how many bytes the body of a request to a path may have."""
        return self.upload_bytes if path in UPLOADS else self.body_bytes

    def address(self, port: int) -> str:
        """Return the address of the page."""
        host = "127.0.0.1" if self.host in ANYWHERE else self.host
        return f"http://{_named(host)}:{port}/"


def _named(host: str) -> str:
    """Return a host as it stands in an address."""
    return f"[{host}]" if ":" in host else host
