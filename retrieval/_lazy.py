"""Lazy package names: each is loaded from its module when it is first used (PEP 562)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module


def loader(
    package: str, homes: Mapping[str, Sequence[str]], modules: Sequence[str] = ()
) -> Callable[[str], object]:
    """Return the `__getattr__` of a package.

    Args:
        package: its `__name__`.
        homes: the names that each module brings.
        modules: of the package that are names of their own.
    """
    home = {name: module for module, names in homes.items() for name in names}

    def load(name: str) -> object:
        if name in modules:
            return import_module(f"{package}.{name}")
        if name not in home:
            raise AttributeError(f"module '{package}' has no attribute '{name}'")
        value: object = getattr(import_module(home[name]), name)
        setattr(import_module(package), name, value)
        return value

    return load
