"""What is left to do: the items after the cursor, without those that are done."""

import logging
from collections.abc import Callable, Iterable

import pytest
from tests.client.test_whole import make_recorder

from tallymark.client import begun
from tallymark.client.begun import Places, cursor_of, left_to_do
from tallymark.client.recorder import Recorder


def make_places(*done: str) -> tuple[Places, Recorder]:
    """Return the places of a run, in which an earlier one has done these items."""
    recorder = make_recorder()
    recorder.progress.frontier.carry(done)
    return Places(recorder, recorder.progress.frontier.told), recorder


def left(
    items: Iterable[object], last: str | None, *done: str, id_: Callable[[object], object] | None = None
) -> tuple[list[object], list[str]]:
    """Return what is left to do, and the warnings."""
    warnings: list[str] = []
    places, _recorder = make_places(*done)
    return list(left_to_do(items, places, last, id_, lambda: False, warnings.append)), warnings


@pytest.mark.parametrize("once", [False, True])
def test_all_up_to_the_last_one_is_left_out_and_what_is_done_beyond_it(*, once: bool) -> None:
    """In a list, and in an iterator that can be read only once."""
    items = list("abcdefg")
    assert left(iter(items) if once else items, "b", "d", "f") == (["c", "e", "g"], [])
    assert left(iter(items) if once else items, None, "d") == (["a", "b", "c", "e", "f", "g"], [])
    assert left(iter(items) if once else items, "g") == ([], [])


def test_items_may_have_ids_that_are_no_text() -> None:
    """As with `track(id=)`."""
    items = [{"id": number} for number in range(6)]
    assert left(items, "2", "4", id_=lambda item: item["id"]) == ([{"id": 3}, {"id": 5}], [])  # type: ignore[index]
    assert left(range(6), "2", "4") == ([3, 5], [])


@pytest.mark.parametrize("once", [False, True])
def test_a_list_that_has_lost_the_last_one_skips_nothing_but_what_is_known_to_be_done(*, once: bool) -> None:
    """And says so."""
    items = list("abdefg")
    found, warnings = left(iter(items) if once else items, "c", "e")
    assert found == ["a", "b", "d", "f", "g"]
    assert len(warnings) == 1
    assert "'c', is not among the items" in warnings[0]


def test_the_memory_is_bounded_while_the_last_one_is_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A long list is read again; a long iterator cannot be, and nothing is skipped without a word."""
    monkeypatch.setattr(begun, "_MOST_BUFFERED", 3)
    assert left(list("abcdefg"), "x", "e") == (list("abcdfg"), left(list("abcdefg"), "x")[1])
    assert left(iter("abcdefg"), "f") == (["g"], [])
    with pytest.raises(LookupError, match="can be read only once"):
        left(iter("abcdefg"), "x")


def test_it_is_lazy() -> None:
    """No item is read before it is asked for."""
    read: list[int] = []

    def items() -> Iterable[int]:
        for number in range(10**9):
            read.append(number)
            yield number

    places, _recorder = make_places("5")
    todo = left_to_do(items(), places, "3", None, lambda: False, print)
    assert [next(todo), next(todo)] == [4, 6]
    assert read[-1] == 6


def test_what_is_handed_out_keeps_its_place_in_whatever_order_it_is_begun() -> None:
    """Threads take items from a list in its order, and begin them in another."""
    places, recorder = make_places()
    urls = list(left_to_do("abcd", places, None, None, lambda: False, print))
    for url in reversed(urls):
        node = places.take(url)
        if url != "b":
            recorder.count(("pages", 1, None, None), None, None, node)
    recorder.write(1.0)
    position = recorder.progress.position
    assert (position.last_processed_id, sorted(position.done_beyond)) == ("a", ["c", "d"])


def test_more_than_can_be_remembered_stops_the_cursor_and_skips_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A crawl that does not begin what it takes: its memory is bounded."""
    monkeypatch.setattr(begun, "_MOST_HANDED_OUT", 3)
    places, recorder = make_places()
    with caplog.at_level(logging.WARNING):
        urls = list(left_to_do("abcdefgh", places, None, None, lambda: False, print))
    assert urls == list("abcdefgh")
    assert caplog.text.count("that are not begun") == 1
    for url in urls:
        recorder.count(("pages", 1, None, None), None, None, places.take(url))
    recorder.write(1.0)
    position = recorder.progress.position
    assert position.last_processed_id == "c"
    assert position.items_by_type == {"pages": 8}


@pytest.mark.parametrize("value", ["", "x" * 256])
def test_a_cursor_that_cannot_be_sent_is_refused_at_the_call(value: str) -> None:
    """The server would refuse the update, and the counts with it."""
    with pytest.raises(ValueError, match="255"):
        cursor_of(value)
    assert cursor_of("x" * 255) == "x" * 255
    assert cursor_of(7) == "7"
    assert cursor_of("a\0b") == "a\ufffdb"


def test_an_item_that_is_open_for_long_is_named(caplog: pytest.LogCaptureFixture) -> None:
    """Once; what finds no room counts when the item is done."""
    places, recorder = make_places()
    nodes = [places.take(str(number)) for number in range(1500)]
    with caplog.at_level(logging.WARNING):
        for now in (1.0, 2.0):
            for node in nodes[1 + 700 * int(now - 1) : 1 + 700 * int(now)]:
                recorder.count(("pages", 1, None, None), None, None, node)
            recorder.write(now)
    position = recorder.progress.position
    assert position.items_by_type == {"pages": 1000}
    assert (position.last_processed_id, len(position.done_beyond)) == (None, 1000)
    assert caplog.text.count("goes on at the item '0'") == 1
    recorder.count(("pages", 1, None, None), None, None, nodes[0])
    recorder.write(3.0)
    position = recorder.progress.position
    assert position.items_by_type == {"pages": 1401}
    assert (position.last_processed_id, position.done_beyond) == ("1400", [])


def test_what_is_told_takes_at_most_64_kb() -> None:
    """With long cursors it is less than 1,000."""
    places, recorder = make_places()
    first = places.take("first")
    for number in range(1000):
        node = places.take(f"{number:0255}")
        recorder.count(("pages", 1, None, None), None, None, node)
    recorder.write(1.0)
    position = recorder.progress.position
    assert 250 <= len(position.done_beyond) <= 65_536 // 255
    assert position.items_by_type == {"pages": len(position.done_beyond)}
    recorder.count(("pages", 1, None, None), None, None, first)
    recorder.write(2.0)
    assert recorder.progress.position.items_by_type == {"pages": 1001}
