"""What twinlens does without unless an extra brings it: PyTorch and all that stands on it."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec

from retrieval.errors import ExtraMissing

TORCH = "torch"


@cache
def has_torch() -> bool:
    """Tell whether PyTorch is installed. It is not imported: that takes two seconds."""
    return has(TORCH)


def require_torch(what: str) -> None:
    """Refuse, before any work is done, what cannot be done without PyTorch.

    Args:
        what: that needs it, as the subject of a sentence.

    Raises:
        ExtraMissing: it is not installed.
    """
    if not has_torch():
        raise ExtraMissing(f"{what} needs PyTorch; install it with: pip install 'twinlens[torch]'")


def has(module: str) -> bool:
    """Tell whether a package is installed, without importing it."""
    try:
        return find_spec(module) is not None
    except ImportError:
        return False


def require_extra(extra: str, modules: tuple[str, ...], what: str) -> None:
    """Refuse, before any work is done, what needs the packages of an extra.

    Args:
        extra: its name.
        modules: that it brings.
        what: that needs them, as the subject of a sentence.

    Raises:
        ExtraMissing: one is not installed.
    """
    missing = [module for module in modules if not has(module)]
    if missing:
        raise ExtraMissing(
            f"{what} needs the package {missing[0]}; install it with: "
            f"pip install 'twinlens[{extra}]'"
        )
