"""Health, readiness and metrics."""

from __future__ import annotations

import re
from pathlib import Path

from tests.retrieval.server.colours import running

_LINE = re.compile(r'^twinlens_[a-z_]+(\{([a-z]+="[^"]*",?)+\})? [0-9.e+-]+$')


def test_metrics_count_requests_stages_and_what_is_there(coloured: Path) -> None:
    with running(coloured) as site:
        for _ in range(3):
            site.get("/api/v1/search?q=red")
        site.get("/api/v1/search?limit=0")
        site.get("/nothing")
        answer = site.get("/metrics")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    lines = answer.body.decode().splitlines()
    values = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    assert [line for line in lines if line[0] != "#" and not _LINE.match(line)] == []
    requests = 'twinlens_request_seconds_count{method="GET",route="/api/v1/search",status='
    assert values[f'{requests}"200"}}'] == "3"
    assert values[f'{requests}"422"}}'] == "1"
    assert 'twinlens_request_seconds_count{method="GET",route="none",status="404"}' in values
    assert values['twinlens_stage_seconds_count{stage="candidates"}'] == "3"
    assert values['twinlens_stage_seconds_bucket{stage="candidates",le="+Inf"}'] == "3"
    assert values['twinlens_library_items{library="library",kind="photos"}'] == "5"
    assert values['twinlens_library_items{library="library",kind="texts"}'] == "2"
    assert values['twinlens_library_state{library="library",state="ready"}'] == "1"
    assert values['twinlens_queue{library="library"}'] == "0"


def test_buckets_hold_all_that_is_below(coloured: Path) -> None:
    from retrieval.server.metrics import Histogram

    times = Histogram("t", "Times.")
    for seconds in (0.001, 0.02, 0.02, 99.0):
        times.observe(seconds, way='a"b\\c\n')
    lines = times.lines()
    label = r'way="a\"b\\c\n"'
    assert f't_bucket{{{label},le="0.01"}} 1' in lines
    assert f't_bucket{{{label},le="0.025"}} 3' in lines
    assert f't_bucket{{{label},le="+Inf"}} 4' in lines
    assert f"t_sum{{{label}}} 99.041000" in lines
