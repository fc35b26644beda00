"""A register strikes off what a walk meets, as a plain dictionary of the same files would."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from indexer.catalog.unseen_files import UnseenFiles
from indexer.core.types import State

states = st.tuples(
    st.binary(max_size=3),
    st.integers(0, 3),
    st.integers(0, 3),
    st.integers(0, 1),
    st.sampled_from([None, 7]),
    st.sampled_from(["", "1 0"]),
)


@given(
    known=st.lists(states, unique=True, max_size=20),
    met=st.lists(states, unique=True, max_size=20),
    struck=st.lists(st.integers(0, 60), max_size=5),
)
def test_what_is_left_is_what_was_neither_met_nor_struck_off(
    known: list[State], met: list[State], struck: list[int]
) -> None:
    ids = {state: 2 * number + 1 for number, state in enumerate(known)}
    register = UnseenFiles((id_, state) for state, id_ in ids.items())
    assert register.meet(met).tolist() == [state in ids for state in met]
    register.strike(struck)
    left = {id_ for state, id_ in ids.items() if state not in met and id_ not in struck}
    assert set(register) == left
    assert {id_ for id_ in range(61) if id_ in register} == left


def test_a_file_to_be_looked_at_again_is_never_met() -> None:
    register = UnseenFiles([(1, (b"/a.jpg", 5, 7, 8, 9, None))])
    assert register.meet([(b"/a.jpg", 5, 7, 8, 9, "1 0")]).tolist() == [False]
    assert list(register) == [1]
