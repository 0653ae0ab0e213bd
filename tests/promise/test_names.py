"""The names in a job's state have a limit, and which of them stay does not depend on the order of the updates."""

from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from . import model
from .strategies import COUNT, KEYS, History, calls, payloads, without_conflict
from .test_convergence import check

if TYPE_CHECKING:
    from .model import Json

Connection = psycopg.Connection[Any]

_MOST = 3
#: Lengths in bytes and in characters differ, and so do the orders of bytes and of letters.
_TYPES = st.sampled_from(["issues", "groups", "projects", "a", "b", "zz", "é", "日", "B"])
_FIELDS = st.sampled_from(["custom", "x", "X", "yy", "ü", "longer name"])


@st.composite
def named_histories(draw: st.DrawFn) -> History:
    """Updates with more names than a state keeps, and two deliveries of them."""
    updates: list[Json] = draw(st.lists(payloads(), min_size=1, max_size=6))
    for number, update in enumerate(updates):
        update["updateId"] = f"{draw(st.sampled_from('ab'))}{number}"
        update["itemsByType"] = draw(st.dictionaries(_TYPES, COUNT, min_size=1, max_size=4))
        update["itemKeys"] = draw(st.dictionaries(_TYPES, st.lists(st.sampled_from(KEYS[:4]), min_size=1), max_size=4))
        update |= {name: draw(COUNT) for name in draw(st.lists(_FIELDS, unique=True, max_size=4))}
        without_conflict(update)
    indexes = list(range(len(updates)))
    orders = [draw(st.permutations(indexes + draw(st.lists(st.sampled_from(indexes), max_size=3)))) for _ in "12"]
    return History(updates, draw(calls(orders[0])), draw(calls(orders[1])), draw(st.integers(0, 20)))


@pytest.fixture
def few(db: Connection, monkeypatch: pytest.MonkeyPatch) -> Connection:
    """A database in which a state has few names, and the definition with the same limit."""
    db.execute(
        "CREATE OR REPLACE FUNCTION tallymark.most_names() RETURNS integer LANGUAGE sql IMMUTABLE PARALLEL SAFE"
        f" RETURN {_MOST}"
    )
    monkeypatch.setattr(model, "MOST_NAMES", _MOST)
    return db


@given(history=named_histories())
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_names_that_stay_do_not_depend_on_the_order(few: Connection, history: History) -> None:
    """Nor on repeats and batches; the state is the definition's, and the fold of the ledger."""
    check(few, history)


@pytest.mark.deep
@pytest.mark.timeout(3000)
@given(history=named_histories())
@settings(max_examples=5_000, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_thousands_of_histories_with_many_names_give_one_state_each(few: Connection, history: History) -> None:
    """The same promise over 5,000 histories."""
    check(few, history)


def test_the_limit_of_the_definition_is_that_of_the_database(db: Connection) -> None:
    """And it is the one that the documents name."""
    assert db.execute("SELECT tallymark.most_names()").fetchone() == (model.MOST_NAMES,)
