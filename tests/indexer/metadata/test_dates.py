"""Dates are read as far as they are known."""

from __future__ import annotations

from datetime import datetime

import pytest

from indexer.metadata.dates import is_universal, local_time, read_date


@pytest.mark.parametrize(
    ("written", "date"),
    [
        ("2019:07:14 18:03:11", datetime(2019, 7, 14, 18, 3, 11)),
        ("2019-07-14T18:03:11.25+02:00", datetime(2019, 7, 14, 18, 3, 11)),
        ("2019/07/14 18:03", datetime(2019, 7, 14, 18, 3)),
        ("20190714", datetime(2019, 7, 14)),
        ("20190714180311+0200", datetime(2019, 7, 14, 18, 3, 11)),
        ("20190714T180311", datetime(2019, 7, 14, 18, 3, 11)),
        ("1955:7:4 9:05:03", datetime(1955, 7, 4, 9, 5, 3)),
        ("2019:07:14  9:05:03", datetime(2019, 7, 14, 9, 5, 3)),
        ("2019:07:14 18:03:60", datetime(2019, 7, 14, 18, 3, 59)),  # a leap second
        ("2019-07-14+02:00", datetime(2019, 7, 14)),
        ("Sun, 14 Jul 2019 18:03:11 +0200", datetime(2019, 7, 14, 18, 3, 11)),
        ("9999-01-02", datetime(9999, 1, 2)),
        ("1503", datetime(1503, 1, 1)),  # the photo of a painting
    ],
)
def test_whole_dates(written: str, date: datetime) -> None:
    assert read_date(written) == date


@pytest.mark.parametrize(
    ("written", "date"),
    [
        ("1955", datetime(1955, 1, 1)),
        ("1955-08", datetime(1955, 8, 1)),
        ("1955:8", datetime(1955, 8, 1)),
        ("195508", datetime(1955, 8, 1)),
        ("1955:00:00 00:00:00", datetime(1955, 1, 1)),
        ("19550000", datetime(1955, 1, 1)),
        ("19550800", datetime(1955, 8, 1)),
        ("1955:  :     :  :  ", datetime(1955, 1, 1)),
        ("1955:08:     :  :  ", datetime(1955, 8, 1)),
        ("2019-02-30", datetime(2019, 2, 28)),  # a day too many: the month is known
        ("2019-07-14 18:77", datetime(2019, 7, 14)),
        ("2019-07-14 25:00:00", datetime(2019, 7, 14)),
        ("1955?", datetime(1955, 1, 1)),
    ],
)
def test_what_is_known_of_a_date_counts_from_its_first_moment(written: str, date: datetime) -> None:
    assert read_date(written) == date


@pytest.mark.parametrize("written", ["1955:07:14 24:10:00", "1955-07-14T24:10", "19550714241000"])
def test_hour_24_is_the_first_hour_of_the_day_that_is_written(written: str) -> None:
    # Programs that count hours from 1 to 24 write so; the day stays as they wrote it.
    assert read_date(written) == datetime(1955, 7, 14, 0, 10)


@pytest.mark.parametrize(
    "written",
    [
        *("", "yesterday", "0000:00:00 00:00:00", "    :  :     :  :  ", "0000", "2019-13-14"),
        *("-0044-03-15", "12019-01-01", "1563120191", "20191314", "2019-07-32", "14.07.2019"),
        *("0001-01-01T00:00:00", "9999-12-31 23:59:59", "\N{SUPERSCRIPT TWO}019-07-14"),
    ],
)
def test_what_is_no_date(written: str) -> None:
    assert read_date(written) is None


@pytest.mark.parametrize(
    ("written", "universal"),
    [
        ("2019-07-14T16:03:11.000000Z", True),
        ("2019-07-14 16:03:11 UTC", True),
        ("2019-07-14T16:03:11+02:00", False),
        ("2019-07-14T16:03:11+00:00", False),  # a clock in London, not a clock without a place
        ("2019-07-14T16:03:11", False),
        ("2019-07-14Z", False),
    ],
)
def test_universal_time_is_told(written: str, universal: bool) -> None:
    assert is_universal(written) is universal


@pytest.mark.usefixtures("in_new_york")
def test_universal_time_becomes_that_of_this_machine() -> None:
    assert local_time(datetime(2019, 7, 14, 2)) == datetime(2019, 7, 13, 22)
    assert local_time(datetime(2019, 1, 14, 2)) == datetime(2019, 1, 13, 21)
    assert local_time(datetime(2019, 7, 14, 2), -71.1) == datetime(2019, 7, 13, 22)


@pytest.mark.usefixtures("in_new_york")
def test_far_away_the_sun_tells_the_time() -> None:
    # A person who was in Tokyo looks for the day that it was there.
    assert local_time(datetime(2019, 7, 14, 22), 139.7) == datetime(2019, 7, 15, 7)


@pytest.mark.usefixtures("in_new_york")
@pytest.mark.parametrize("moment", [datetime(1, 1, 1), datetime(9999, 12, 31, 23)])
def test_a_date_at_the_end_of_the_calendar_ends_nothing(moment: datetime) -> None:
    for longitude in (None, -179.0, 179.0):
        assert abs(local_time(moment, longitude) - moment).days <= 1
