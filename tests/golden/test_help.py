"""The help of every command at 80 columns, word for word.

After a change that is meant, write the snapshot anew, e.g.
`COLUMNS=80 twinlens search --help > tests/golden/help/search.txt`.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from retrieval.cli import main
from retrieval.cli.app import COMMANDS

ALL = ("", *COMMANDS, "models fetch", "models test")
SNAPSHOTS = Path(__file__).parent / "help"


def help_of(command: str) -> str:
    """What `twinlens COMMAND --help` prints."""
    # click leaves two columns free; its test runner would use them.
    result = CliRunner().invoke(main, [*command.split(), "--help"], terminal_width=80 - 2)
    assert result.exit_code == 0
    return result.stdout


def snapshot_of(command: str) -> Path:
    """Where the help of a command is kept."""
    return SNAPSHOTS / f"{command.replace(' ', '-') or 'twinlens'}.txt"


@pytest.mark.parametrize("command", ALL)
def test_help_is_as_it_was(command: str) -> None:
    snapshot = snapshot_of(command)
    assert snapshot.is_file(), f"no snapshot {snapshot.name}; see the top of this file"
    assert help_of(command) == snapshot.read_text(encoding="utf-8")


@pytest.mark.parametrize("command", ALL)
def test_help_ends_with_an_example_and_fits(command: str) -> None:
    lines = help_of(command).splitlines()
    example = lines.index("  Example:")
    assert all(line.startswith("    twinlens") for line in lines[example + 1 :])
    assert max(map(len, lines)) <= 80


def test_the_list_of_commands_cuts_no_sentence_off() -> None:
    assert "..." not in help_of("").partition("Commands:")[2]


def test_no_snapshot_is_left_over() -> None:
    assert set(SNAPSHOTS.iterdir()) == {snapshot_of(command) for command in ALL}
