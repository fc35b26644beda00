"""The API against its own description, with generated requests (schemathesis)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable

schemathesis = pytest.importorskip("schemathesis", reason="needs the package schemathesis")

from schemathesis import GenerationMode  # noqa: E402
from schemathesis.checks import not_a_server_error  # noqa: E402
from schemathesis.specs.openapi.checks import (  # noqa: E402
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from retrieval.server.settings import ServeSettings  # noqa: E402
from tests.retrieval.server.colours import drawn, index, running  # noqa: E402

EXAMPLES = 8

CHECKS = [
    not_a_server_error,
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
]


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[object]:
    """The description of a server of its own, which requests may change."""
    home: Path = tmp_path_factory.mktemp("fuzzed")
    drawn(home / "photos", ["red", "red-blue", "blue", "green"])
    (home / "photos" / "list.txt").write_text("a red door\n", encoding="utf-8")
    index(home / "library", home / "photos")
    with running(home / "library", settings=ServeSettings(port=0)) as site:
        described = schemathesis.openapi.from_url(f"{site.server.address}openapi.json")
        # Events have no end, and colours cannot be learned.
        yield described.exclude(path_regex="/events$").exclude(method="POST", path_regex="/names$")


def test_every_answer_is_as_described(api: Any) -> None:
    operations = [result.ok() for result in api.get_all_operations()]
    assert len(operations) > 10
    for operation in operations:
        _check(operation, GenerationMode.POSITIVE)
        if operation.body or operation.query or operation.path_parameters:
            _check(operation, GenerationMode.NEGATIVE)


def _check(operation: Any, mode: GenerationMode) -> None:
    """Send some generated requests to one operation, right ones or wrong ones."""

    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def check(case: Any) -> None:
        case.call_and_validate(checks=CHECKS)

    # An id of any text cannot be wrong.
    with suppress(*([Unsatisfiable] if mode == GenerationMode.NEGATIVE else [])):
        check()
