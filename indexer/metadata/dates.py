"""Read dates as cameras, editors and archives write them, whole or in part.

| written | read as |
|---|---|
| `2019:07:14 18:03:11`, `2019-07-14T18:03:11+02:00`, `20190714`, `1955:7:4 9:05:03` | as written |
| `1955`, `1955-08`, `19550800`, `1955:00:00`, `1955:  :  ` | the first moment of what is known |
| `1955:07:14 24:10:00` | 00:10 of the same day: programs that count hours from 1 to 24 write so |
| `2019-02-30`, `2019-07-14 18:77` | 28 February; the day alone |
| `0000:00:00`, month 13, a negative year, `0001-01-01` and `9999-12-31` | no date |
"""

from __future__ import annotations

import re
from calendar import monthrange
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from email.utils import parsedate_to_datetime

_SEPARATED = re.compile(
    r"(\d{4})(?!\d)(?:\D\s*(\d{1,2})(?!\d)(?:\D\s*(\d{1,2})(?!\d))?)?", re.ASCII
)
_COMPACT = re.compile(r"(\d{4})(\d\d)(?:(\d\d)(?=\d{4}(?:\d\d)?(?!\d)|(?!\d))|(?!\d))", re.ASCII)
_TIME = re.compile(
    r"(?![+-]\d\d:?\d\d\Z)[^\d+]{0,2}?(\d{1,2})(?:\D?(\d\d)(?:\D?(\d\d))?)?(?!\d)", re.ASCII
)
_UNIVERSAL = re.compile(r".*:\d\d(\.\d+)?\s*(z|utc|gmt)", re.IGNORECASE | re.ASCII | re.DOTALL)

_UNSET = frozenset({(1, 1, 1), (9999, 12, 31)})
"""The first and last date of many programs: they mean that there is none."""

_HOURS_APART = 3.0  # that the clocks of one time zone are from the sun, at most


def read_date(text: str) -> datetime | None:
    """Read a date as it is written, whatever its time zone; None for what is no date."""
    text = text.strip()
    found = _SEPARATED.match(text) or _COMPACT.match(text)
    if found is None:
        return _of_a_letter(text)
    day = _day(*(int(part or 0) for part in found.groups()))
    if day is None or (day.year, day.month, day.day) in _UNSET:
        return None
    return _with_time(day, text[found.end() :]) if found[3] else day


def is_universal(text: str) -> bool:
    """Return whether a date says that it is universal time (UTC)."""
    return _UNIVERSAL.fullmatch(text.strip()) is not None


def local_time(universal: datetime, longitude: float | None = None) -> datetime:
    """Turn universal time into that of the clocks where a video was made.

    That is the time zone of this machine, unless the position says that it was far away: then the
    zone is told by the sun, which is right to an hour or two.

    Args:
        universal: without a time zone.
        longitude: in degrees, where it is known.
    """
    moment = universal.replace(tzinfo=UTC)
    with suppress(OverflowError, ValueError, OSError):
        here = moment.astimezone()
        offset = here.utcoffset() or timedelta()
        sun = (longitude or 0.0) / 15.0
        if longitude is not None and abs(sun - offset.total_seconds() / 3600.0) > _HOURS_APART:
            here = moment.astimezone(timezone(timedelta(hours=round(sun))))
        return here.replace(tzinfo=None)
    return universal


def _day(year: int, month: int, day: int) -> datetime | None:
    """Return the day, the first of a month or year whose day is unknown."""
    if not (1 <= year <= 9999 and month <= 12 and day <= 31):
        return None
    month = month or 1
    return datetime(year, month, min(max(day, 1), monthrange(year, month)[1]))


def _with_time(day: datetime, rest: str) -> datetime:
    """Add the time that follows a day; one that no clock shows is left out."""
    found = _TIME.match(rest)
    hour, minute, second = (int(part or 0) for part in found.groups()) if found else (0, 0, 0)
    if hour > 24 or minute > 59:
        return day
    return day.replace(hour=hour % 24, minute=minute, second=min(second, 59))


def _of_a_letter(text: str) -> datetime | None:
    """Read a date as e-mails and PNG files have it: "Sun, 14 Jul 2019 18:03:11 +0200"."""
    with suppress(ValueError, TypeError, IndexError, OverflowError):
        return parsedate_to_datetime(text).replace(tzinfo=None)
    return None
