"""The cases can fail: what is filled in, and what the matchers let pass and what not."""

from datetime import UTC, datetime
from typing import Any

import pytest

from .suite import read_cases
from .values import BadCaseError, differences, fill


@pytest.mark.parametrize(
    ("value", "filled"),
    [
        ("{job}", "j"),
        ("a {job} b {job}", "a j b j"),
        ("{number}", 7),
        ("n{number}", "n7"),
        ("{x*3}{ä*2}", "xxxää"),
        ({"{job}{x*2}": ["{job}"]}, {"jxx": ["j"]}),
        ({"$repeat": 2, "of": [{"e": "{n}"}]}, [{"e": 1}, {"e": 2}]),
        ({"$repeat": 2, "of": {"t{n}": 0}}, {"t1": 0, "t2": 0}),
        ("{}", "{}"),
        ('{"taskId":"{job}"}', '{"taskId":"j"}'),
        ("{nested}", {"a": "j"}),
    ],
)
def test_placeholders_are_filled_in(value: object, filled: object) -> None:
    """In values and names, typed where a string is nothing else."""
    assert fill(value, {"job": "j", "number": 7, "nested": {"a": "{job}"}}) == filled


def test_now_is_a_moment_of_which_more_or_less_can_be_asked() -> None:
    """As crawlers write it."""
    now = {"now": datetime(2025, 1, 6, 19, 15, 30, tzinfo=UTC)}
    assert fill(["{now}", "{now+60}", "{now-60}"], now) == [
        "2025-01-06T19:15:30.000Z",
        "2025-01-06T19:16:30.000Z",
        "2025-01-06T19:14:30.000Z",
    ]


@pytest.mark.parametrize(
    ("wanted", "good", "bad"),
    [
        ({"a": 1}, [{"a": 1}, {"a": 1.0, "b": 2}], [{}, {"a": 2}, {"a": True}, {"a": "1"}, [], None]),
        ({"$exactly": {"a": "$any"}}, [{"a": 1}, {"a": None}], [{}, {"a": 1, "b": 2}]),
        ([1, "$integer"], [[1, 2]], [[1], [1, 2, 3], [2, 2], "12", [1, True], [1, "2"], [1, 1.5]]),
        (True, [True], [1, "true", False]),
        (None, [None], [0, "", False]),
        ({"a": None}, [{"a": None}], [{}]),
        ({"a": "$absent"}, [{}, {"b": 1}], [{"a": None}, {"a": 1}]),
        ({"a": "$none"}, [{}, {"a": None}], [{"a": 0}]),
        ({"a": "$any"}, [{"a": None}, {"a": 1}], [{}]),
        ("$string", ["x"], ["", 1, None]),
        ("$strings", [["x"]], [[], [""], [1], "x"]),
        ("$number", [1, 1.5], [True, "1"]),
        ("$object", [{}], [[], None]),
        ("$array", [[]], [{}, None]),
        ("$timestamp", ["2025-01-06T19:15:30.000Z", "2025-01-06T19:15:30+01:00"], ["2025-01-06", 5, "x"]),
        ({"$instant": "2025-01-06T19:15:30Z"}, ["2025-01-06T20:15:30.000+01:00"], ["2025-01-06T20:15:30Z", None]),
        ({"$contains": [2, 1]}, [[1, 2, 3]], [[1, 3], [], None]),
        ({"$starts": [1, 2]}, [[1, 2], [1, 2, 3]], [[1], [2, 1], None]),
        ({"$each": {"a": 1}}, [[], [{"a": 1}]], [[{"a": 1}, {}], None]),
        ({"$length": 2}, ["ab", [1, 2], {"a": 1, "b": 2}], ["a", 2, None]),
        ({"$matches": "^a"}, ["ab"], ["ba", 1, None]),
        ({"$not": 1}, [2, None], [1]),
        ({"a": {"$not": 1}}, [{"a": 2}], [{"a": 1}, {}]),
        ({"$all": ["$string", {"$length": 1}]}, ["a"], ["", "ab"]),
        ({"$oneOf": [1, None]}, [1, None], [2]),
    ],
)
def test_a_matcher_lets_pass_what_it_should(wanted: object, good: list[Any], bad: list[Any]) -> None:
    """And nothing else."""
    for got in good:
        assert list(differences(wanted, got, {})) == [], got
    for got in bad:
        assert list(differences(wanted, got, {})), got


def test_what_is_kept_can_be_named_later() -> None:
    """A number that only the server knows."""
    kept: dict[str, Any] = {}
    assert list(differences({"next": {"$keep": "cursor"}}, {"next": 7}, kept)) == []
    assert kept == {"cursor": 7}


@pytest.mark.parametrize("wanted", ["$sting", {"$contans": []}])
def test_a_matcher_that_does_not_exist_is_a_mistake(wanted: object) -> None:
    """A typing error must not let anything pass."""
    with pytest.raises(BadCaseError):
        list(differences(wanted, "x", {}))


def test_a_placeholder_that_does_not_exist_is_a_mistake() -> None:
    """Neither must this."""
    with pytest.raises(BadCaseError):
        fill("{jop}", {"job": "j"})


def test_no_two_cases_have_one_name() -> None:
    """The name says which one failed."""
    names = [case.name for case in read_cases()]
    assert len(names) == len(set(names))
