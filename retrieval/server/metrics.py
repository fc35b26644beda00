"""Counts and times of the server, in the text format of Prometheus."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import TypeAlias

Labels: TypeAlias = tuple[tuple[str, str], ...]
"""Names and values."""

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
"""Upper bounds of the times that are counted, in seconds."""


class Histogram:
    """How often a time was within each bound, by labels."""

    def __init__(self, name: str, help_: str) -> None:
        self.name, self.help = name, help_
        self._counts: dict[Labels, list[float]] = defaultdict(lambda: [0.0] * (len(BUCKETS) + 2))
        self._alone = threading.Lock()

    def observe(self, seconds: float, **labels: str) -> None:
        """Count one time."""
        with self._alone:
            counts = self._counts[tuple(sorted(labels.items()))]
            for place, bound in enumerate(BUCKETS):
                counts[place] += seconds <= bound
            counts[-2] += 1
            counts[-1] += seconds

    def lines(self) -> list[str]:
        """Write it."""
        told = [f"# HELP {self.name} {self.help}", f"# TYPE {self.name} histogram"]
        with self._alone:
            every = [(labels, list(counts)) for labels, counts in self._counts.items()]
        for labels, counts in every:
            for bound, count in zip((*map(str, BUCKETS), "+Inf"), counts, strict=False):
                told.append(f"{self.name}_bucket{_written((*labels, ('le', bound)))} {count:g}")
            told.append(f"{self.name}_count{_written(labels)} {counts[-2]:g}")
            told.append(f"{self.name}_sum{_written(labels)} {counts[-1]:.6f}")
        return told


class Metrics:
    """All that the server counts of its requests and searches."""

    def __init__(self) -> None:
        self.requests = Histogram("twinlens_request_seconds", "Time of requests by route.")
        self.stages = Histogram("twinlens_stage_seconds", "Time of searches by stage.")

    def count_search(self, took_ms: Mapping[str, float]) -> None:
        """Count the stages of one search."""
        for stage, milliseconds in took_ms.items():
            self.stages.observe(milliseconds / 1_000, stage=stage)

    def lines(self) -> list[str]:
        """Write all."""
        return [*self.requests.lines(), *self.stages.lines()]


def gauge(name: str, help_: str, values: Iterable[tuple[Labels, float]]) -> list[str]:
    """Write numbers of the moment, each with its labels."""
    told = [f"# HELP {name} {help_}", f"# TYPE {name} gauge"]
    return told + [f"{name}{_written(labels)} {value:g}" for labels, value in values]


def _written(labels: Labels) -> str:
    """Write labels."""
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels) + "}"


def _escaped(value: str) -> str:
    """Escape the value of a label."""
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
