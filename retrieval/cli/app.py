"""The entry point: find the command, and turn errors into one line and an exit code."""

from __future__ import annotations

import codecs
import io
import os
import re
import sys
from collections.abc import Callable
from difflib import get_close_matches
from functools import partial
from importlib import import_module
from typing import Any, NoReturn

import click

from indexer.core.errors import TwinlensError, explained, permit
from retrieval.cli.console import note
from retrieval.cli.exit_codes import ExitCode

COMMANDS = (
    *("index", "read", "search", "serve", "mcp", "export", "duplicates", "watch", "learn"),
    "info",
    *("check", "tune", "forget", "move-root", "reindex", "models"),
    *("evaluate", "train", "train-reranker", "blend", "demo"),
)

_DEBUG = "TWINLENS_DEBUG"

_CLOSED = re.compile(r"'([^']+)' is not (?:readable|writable)$")  # how click says it

_PRINTED = "twinlens"  # how stdout deals with what its encoding lacks

_ONE_THREAD = ("OPENBLAS_NUM_THREADS", "1")
"""For one question: its products are small, and threads that wait for each other cost a quarter of
a second of CPU and gain nothing."""


class CommandLine(click.Group):
    """A group whose commands are modules, imported when they are needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name the commands in the order in which a newcomer needs them."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the module of a command."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        if cmd_name == "search":  # before numpy is there
            os.environ.setdefault(*_ONE_THREAD)
        command: click.Command = import_module(
            f"retrieval.cli.commands.{cmd_name.replace('-', '_')}"
        ).command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find a command; of a mistyped one say which it may have been."""
        near = get_close_matches(args[0], COMMANDS, n=1)
        if near and args[0] not in COMMANDS:
            ctx.fail(f"No such command '{args[0]}'; did you mean {near[0]}?")
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command. A reader that has seen enough, as `head` has, is no failure."""
        try:
            code = super().invoke(ctx)
            sys.stdout.flush()
        except BrokenPipeError:
            _drop_stdout()
            return ExitCode.DONE
        return code

    def main(self, *args: Any, **extra: Any) -> NoReturn:
        """Run one command and exit with its code."""
        settings = {**extra, "prog_name": "twinlens", "standalone_mode": False}
        sys.exit(_exit_code(partial(super().main, *args, **settings)))


@click.group(
    cls=CommandLine,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80},
    epilog='\b\nExample:\n  twinlens index ~/Pictures\n  twinlens search "a cat on a sofa"',
)
@click.version_option(package_name="twinlens", message="%(prog)s %(version)s")
@click.pass_context
def main(ctx: click.Context) -> None:
    """Find photos by words, and words by photo."""
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def _exit_code(command: Callable[[], object]) -> int:
    """Run a command; turn what it raises into one line on stderr and a code."""
    _print_all()
    try:
        code = command()
    except (click.Abort, KeyboardInterrupt):
        return _fail("interrupted", ExitCode.INTERRUPTED)
    except click.ClickException as error:
        return _fail(_usage(error), error.exit_code)
    except TwinlensError as error:
        return _fail(str(error), error.exit_code)
    except Exception as error:  # noqa: BLE001 - the edge
        return _fail(_unexpected(error), ExitCode.FAILED)
    return code if isinstance(code, int) else ExitCode.DONE


def _fail(message: str, code: int) -> int:
    """Print the one line of an error."""
    note(f"twinlens: {' '.join(message.split())}")
    return int(code)


def _usage(error: click.ClickException) -> str:
    """Add where to look to a complaint about options and arguments."""
    message = error.format_message().rstrip(".")
    closed = _CLOSED.search(message)
    if closed is not None:
        return f"{message}; {permit(closed[1])}"
    ctx = error.ctx if isinstance(error, click.UsageError) else None
    return f"{message}; see '{ctx.command_path} --help'" if ctx else message


def _unexpected(error: Exception) -> str:
    """Describe what no one raised on purpose; with TWINLENS_DEBUG set, show where."""
    if os.environ.get(_DEBUG):
        raise error
    if isinstance(error, OSError) and error.strerror and error.filename:
        said, _, advice = explained(error, error.filename).partition("; ")
        return "; ".join(filter(None, (f"{said}: '{error.filename}'", advice)))
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return f"unexpected {type(error).__name__}: {error}; {_DEBUG}=1 shows where"


def _print_all() -> None:
    """Print file names that are not UTF-8 as the bytes they are, and escape what stdout lacks."""
    codecs.register_error(_PRINTED, _printed)
    if isinstance(sys.stdout, io.TextIOWrapper):
        plain = codecs.lookup(sys.stdout.encoding).name == "ascii"  # no locale is set
        sys.stdout.reconfigure(encoding="utf-8" if plain else None, errors=_PRINTED)


def _printed(error: UnicodeError) -> tuple[bytes, int]:
    """Return what is printed of characters that stdout's encoding lacks."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    escaped = "".join(
        char if "\udc80" <= char <= "\udcff" else ascii(char)[1:-1] for char in lacking
    )
    return escaped.encode("ascii", "surrogateescape"), error.end


def _drop_stdout() -> None:
    """Send what is left in the buffer nowhere, so that Python's exit does not complain."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
