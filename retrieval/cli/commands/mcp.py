"""`twinlens mcp`: let agents search, over stdio."""

from __future__ import annotations

from pathlib import Path

import click

from retrieval._extras import require_extra
from retrieval.cli.exit_codes import ExitCode
from retrieval.cli.options import example, with_library, with_model
from retrieval.runtime.model_choice import ModelChoice


@click.command(epilog=example("twinlens mcp", "twinlens mcp --library ~/photos.lib"))
@with_library
@with_model("the library's own")
def command(library: Path, model: ModelChoice) -> int:
    """Let agents search and look at photos, over stdio (MCP).

    An agent's program starts this command and speaks the Model Context Protocol with it. Its tools
    search, show and count photos; they change nothing, and read no file but those of the library.
    Requires packages of an extra: pip install 'twinlens[mcp]'.
    """
    require_extra("mcp", ("mcp",), "mcp")
    from importlib.metadata import version

    from retrieval.api import PhotoLibrary
    from retrieval.mcp.server import build_server

    opened = PhotoLibrary.open(
        library, model.spec, device=model.device, create=False, note=model.note
    )
    with opened:
        build_server(opened, version("twinlens")).run("stdio")
    return ExitCode.DONE
