"""How many photos a model embeds a second on this machine: measured once, and kept."""

from __future__ import annotations

import json
import time

from indexer.core.atomic_io import replacing
from indexer.core.encoder import Encoder
from indexer.core.errors import TwinlensError
from retrieval.runtime.graph import cores
from retrieval.runtime.graph_cache import engine_folder
from retrieval.runtime.probes import probe_photos

BATCH = 32
SECONDS = 1.0
"""CPU time that is measured at least."""

_KEY = "photos_per_second"


def known_speed(encoder: Encoder) -> float | None:
    """Return the photos a second that a model embeds here; None if that was never measured."""
    try:
        plain = json.loads(engine_folder(encoder.fingerprint).speed.read_text(encoding="utf-8"))
        return float(plain[_KEY])
    except (OSError, ValueError, TypeError, KeyError):
        return None


def measure_speed(encoder: Encoder) -> float:
    """Measure how many photos a model embeds a second, without reading them, and keep it.

    It is the CPU time that counts, shared among all cores: what a machine that does nothing else
    reaches, whatever runs beside the measurement.
    """
    photos = (probe_photos(encoder.image_size) * BATCH)[:BATCH]
    encoder.encode_images(photos[:1])  # opens the tower
    started, done, taken = time.process_time(), 0, 0.0
    while taken < SECONDS:
        encoder.encode_images(photos)
        done, taken = done + BATCH, time.process_time() - started
    speed = round(cores() * done / taken, 1)
    folder = engine_folder(encoder.fingerprint)
    try:
        folder.make()
        with replacing(folder.speed) as part:
            part.write_text(json.dumps({_KEY: speed}), encoding="utf-8")
    except (OSError, TwinlensError):
        return speed  # measured anew the next time
    return speed
