"""Filters in Python mean what they mean on the command line."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from indexer.core.filters import AllOf, AnyOf, Not
from retrieval import QueryInvalid, parse_query
from retrieval import filters as f


@pytest.mark.parametrize(
    ("made", "written"),
    [
        (f.after("2019"), "after:2019"),
        (f.after(2019), "after:2019"),
        (f.before(date(2020, 7, 14)), "before:2020-07-14"),
        (f.before(datetime(2020, 7, 14, 8, 30)), "before:2020-07-14T08:30:00"),
        (f.before(datetime(2020, 7, 14, 8, 30, tzinfo=UTC)), "before:2020-07-14T08:30:00"),
        (f.near("Rome"), "near:Rome"),
        (f.near("Rome", 5), "near:Rome,5"),
        (f.near("Italy"), "near:Italy"),
        (f.near((41.9, 12.5)), "near:41.9,12.5"),
        (f.near((41.9, 12.5), 2.5), "near:41.9,12.5,2.5"),
        (f.camera("x100"), "camera:x100"),
        (f.folder("summer 2019"), 'in:"summer 2019"'),
        (f.folder(Path("/photos/2019")), "in:/photos/2019"),
        (f.tag("family"), "tag:family"),
        (f.file_type("raw"), "type:raw"),
        (f.orientation("portrait"), "orientation:portrait"),
        (f.rating(4), "rating:4"),
        (~f.tag("work"), "-tag:work"),
    ],
)
def test_each_is_read_as_it_is_written(made: f.FilterExpression, written: str) -> None:
    query = parse_query(written)
    assert (made.filter, made.written, made.notes) == (query.where, written, query.notes)


def test_they_are_joined_and_turned_round() -> None:
    one, two, three = f.after("2019"), f.near("Rome"), f.tag("work")
    both = one & two & ~three
    assert both.filter == AllOf(
        filters=(AllOf(filters=(one.filter, two.filter)), Not(filter=three.filter))
    )
    assert both.written == "after:2019 near:Rome -tag:work"
    assert both.notes == two.notes != ()
    either = one | two
    assert either.filter == AnyOf(filters=(one.filter, two.filter))
    assert (either & three).written == "(after:2019 or near:Rome) tag:work"
    assert (~either).written == "not (after:2019 or near:Rome)"
    assert (~~three).written == "not (-tag:work)"


def test_a_line_and_pairs_are_taken_too() -> None:
    line = f.expression("after:2019 -tag:work")
    assert line == f.expression([("after", "2019"), ("-tag", "work")])
    assert line.filter == (f.after(2019) & ~f.tag("work")).filter


def test_a_query_is_narrowed() -> None:
    query = f.narrowed(parse_query("a dog after:2019"), f.near("Rome"))
    assert query.filters == "after:2019 near:Rome"
    assert query.where == AllOf(filters=(f.after(2019).filter, f.near("Rome").filter))
    assert query.text == "a dog"


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: f.after("soon"), "'soon' is not a date"),
        (lambda: f.near("Nowhereville"), "no town 'Nowhereville' is known here"),
        (lambda: f.file_type("xyz"), "type:xyz is not a known file type"),
        (lambda: f.rating(9), "rating:9 is not a number of stars"),
        (lambda: f.tag(""), "the filter tag: has no value"),
        (lambda: f.expression("a dog after:2019"), "'a dog' is no filter"),
        (lambda: f.expression([]), "there is no filter"),
    ],
)
def test_what_is_no_filter_is_refused(make: object, said: str) -> None:
    with pytest.raises(QueryInvalid, match=f"^{said.replace('?', '[?]')}"):
        make()  # type: ignore[operator]


def test_too_many_are_refused() -> None:
    some = f.expression([("tag", str(number)) for number in range(60)])
    with pytest.raises(QueryInvalid, match="120 filters are too many; use at most 100"):
        _ = some | some
