"""What the crawl gives the client, and the client calls, may raise: neither the crawl nor the job's end is broken."""

import io
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from tallymark.client.failure import describe

if TYPE_CHECKING:
    from tests.client.conftest import Look, Make


class BadError(Exception):
    """An exception of a library, with what it lacks."""

    def __str__(self) -> str:
        raise ValueError("no text")

    __repr__ = __str__


class BadGroup(ExceptionGroup[Exception]):
    """Its parts are asked for their texts, too."""

    def __str__(self) -> str:
        raise RecursionError


class NotesError(Exception):
    """Its notes are asked for as well."""

    @property
    def __notes__(self) -> list[str]:  # type: ignore[override]
        raise RuntimeError("no notes")


class BadText(str):
    """A text whose methods are its own."""

    __slots__ = ()

    def __getitem__(self, _place: object) -> str:
        raise IndexError

    def __str__(self) -> str:
        return self


class BadValue:
    """A value that cannot be shown."""

    def __repr__(self) -> str:
        raise RuntimeError("no repr")


class BadMapping(dict[str, int]):
    """A mapping that cannot be read."""

    def items(self) -> Any:  # noqa: ANN401 - nothing
        """Raise."""
        raise KeyError


ERRORS: list[Exception] = [BadError(), BadGroup("g", [BadError()]), NotesError("n"), ValueError(BadText("t"))]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_the_error_of_the_crawl_comes_through_and_the_job_fails(
    make_client: "Make", name: str, look: "Look", error: Exception
) -> None:
    """Whatever its text is: it is the same exception, and the next run of the job works."""
    client = make_client()

    def crawl() -> None:
        with client.job(name) as job:
            job.advance("issues", last_id=1)
            raise error

    with pytest.raises(type(error)) as caught:
        crawl()
    assert caught.value is error
    job = look(name)
    assert job["status"] == "failed"
    assert job["progress"]["error"]["message"]
    assert job["progress"]["itemsByType"] == {"issues": 1}
    with client.job(name) as again:
        again.advance("issues", last_id=2)
    assert look.counts(name) == ({"issues": 2}, 2)


def test_an_error_is_described_whatever_its_context_holds(make_client: "Make", name: str, look: "Look") -> None:
    """Values that raise, that contain themselves, and names that are no text."""
    endless: dict[str, object] = {}
    endless["self"] = endless
    with make_client().job(name) as job:
        job.error(BadError(), value=BadValue(), mapping=BadMapping(a=1), endless=endless, names={BadValue: 1, 2: 3})
        job.error(BadText("a text"))
        job.advance("issues")
    error = look(name)["progress"]["error"]
    assert error["message"] == "a text"
    assert look.counts(name) == ({"issues": 1}, 1)
    context = describe("e", {"value": BadValue(), "mapping": BadMapping(a=1)})["context"]
    assert all(text.endswith("its text cannot be made>") for text in context.values())


class Pages:
    """A list whose pages are fetched one by one."""

    def __init__(self, length: Exception | int) -> None:
        self._length = length

    def __len__(self) -> int:
        if isinstance(self._length, Exception):
            raise self._length
        return self._length

    def __iter__(self) -> Iterator[int]:
        return iter(range(7))


LENGTHS = [RuntimeError("ask the server"), OSError("away"), TypeError("no len"), -1, 0, 2**70]


@pytest.mark.parametrize("length", LENGTHS, ids=repr)
def test_a_length_that_cannot_be_told_is_unknown(
    make_client: "Make", name: str, look: "Look", length: Exception | int
) -> None:
    """The loop runs, and no update says that the job is done by 100 %: GitLab's keyset paging has the length 0."""
    with make_client().job(name) as job:
        assert list(job.track(Pages(length), type="issues")) == list(range(7))
    progress = look(name)["progress"]
    assert progress["itemsByType"] == {"issues": 7}
    assert "totalItems" not in progress


def test_an_id_function_that_raises_is_seen_at_the_first_item_and_logged_later(
    make_client: "Make", name: str, look: "Look", caplog: pytest.LogCaptureFixture
) -> None:
    """All items count; the cursor stays at the item before."""
    with make_client().job(name) as job:
        with pytest.raises(ZeroDivisionError):
            list(job.track([0, 1], type="issues", id=lambda n: 1 // n))
        assert list(job.track([1, 2, 0, 3, 0], type="issues", id=lambda n: n // (n and 1))) == [1, 2, 0, 3, 0]
    assert look.counts(name) == ({"issues": 5}, 5)
    assert look(name)["progress"]["lastProcessedId"] == "3"
    assert caplog.text.count("the id of an item cannot be made") == 2


class NoTerminal(io.StringIO):
    """A standard error that a crawl has put there."""

    def __init__(self, broken: str) -> None:
        super().__init__()
        self._broken = broken

    def isatty(self) -> bool:
        """It is one."""
        if self._broken == "isatty":
            raise AttributeError("isatty")
        return True

    def write(self, text: str) -> int:
        """Keep the text."""
        if self._broken == "write":
            raise OSError("full")
        return super().write(text)

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """Return the name of none."""
        if self._broken == "encoding":
            raise LookupError("encoding")
        return "no such"


class Nothing:
    """An object that has none of it."""


@pytest.mark.parametrize("bar", [None, True])
@pytest.mark.parametrize(
    "stream", [None, Nothing(), NoTerminal("isatty"), NoTerminal("write"), NoTerminal("encoding"), NoTerminal("")]
)
def test_a_loop_runs_whatever_standard_error_is(
    make_client: "Make", name: str, look: "Look", monkeypatch: pytest.MonkeyPatch, stream: object, bar: bool | None
) -> None:
    """Closed, without `isatty`, broken, in memory."""
    with make_client().job(name) as job:
        monkeypatch.setattr(sys, "stderr", stream)
        for _group in job.track(range(3), type="groups", bar=bar):
            assert list(job.track(range(5), type="issues", bar=bar)) == list(range(5))
        monkeypatch.undo()
    assert look.counts(name) == ({"groups": 3, "issues": 15}, 18)


def test_an_end_that_cannot_be_reported_does_not_hide_the_error_of_the_crawl(
    make_client: "Make", name: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A defect of ours is logged."""

    def broken(*_args: object) -> int:
        raise RuntimeError("a defect")

    def crawl() -> None:
        with make_client(port=1, retries=0, start_timeout=0.1, end_timeout=0.1).job(name) as job:
            monkeypatch.setattr(job._run, "_say_end", broken)
            raise ValueError("the crawl's own")

    with pytest.raises(ValueError, match="the crawl's own"):
        crawl()
    assert "its end could not be reported" in caplog.text
    monkeypatch.undo()


class Smart(str):
    """A text of a parser's: it is more than its letters."""

    __slots__ = ()
    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        raise ValueError("compared")

    def __str__(self) -> str:
        return "shown"

    def __format__(self, how: str) -> str:
        return "formatted"


def test_keys_and_types_are_their_letters_whatever_class_they_have(
    make_client: "Make", name: str, look: "Look"
) -> None:
    """No method of the class is called: an error in one would lose the count, and another text would be another key."""
    with make_client().job(name) as job:
        assert job.advance(Smart("pages"), key=Smart("a"))
        assert not job.advance("pages", key="a")
        with job.item("1", type=Smart("pages"), key=Smart("b")):
            pass
        assert job.seen(Smart("b"), Smart("pages"))
        assert job.unseen([Smart("a"), Smart("c")], Smart("pages")) == ["c"]
        job.advance(Smart("files"), 2, key=Smart("d"))
        assert job.seen("d", "files")
        assert job.flush(60).refused == ()
    assert look.counts(name)[0] == {"pages": 2, "files": 2}


def test_a_job_is_not_sent_to_another_process(make_client: "Make", name: str) -> None:
    """The error says what to do instead."""
    import pickle

    client = make_client(port=1, retries=0, start_timeout=0.1, end_timeout=0.1)
    with client.job(name) as job:
        for what in (job, client, job.advance):
            with pytest.raises(TypeError, match="cannot be sent to another process: make"):
                pickle.dumps(what)
