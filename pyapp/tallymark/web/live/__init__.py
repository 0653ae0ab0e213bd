"""What happens to jobs, told while it happens: `/events`, a stream of server-sent events.

`hub` reads what is watched, once for all who watch it; `jobs` and `overview` are what can be watched; `stream` is one
connection; `gate` keeps the threads that streams need from slowing the requests.
"""

import random
from http import HTTPStatus
from threading import Lock

from flask import Flask, Response, request

from tallymark.functions.errors import Unavailable
from tallymark.functions.http import NEWEST_JOBS_LIVE
from tallymark.settings import Settings
from tallymark.web.auth.callers import caller
from tallymark.web.auth.tokens import Tokens
from tallymark.web.db.replica import Reader
from tallymark.web.http.answers import json_answer
from tallymark.web.http.problems import Problem
from tallymark.web.http.query import BIGINT, Query
from tallymark.web.live.gate import Gate, GatedApp
from tallymark.web.live.hub import Bell, Poller
from tallymark.web.live.jobs import JobTopic, Position, catch_up, read_jobs
from tallymark.web.live.messages import Message, Read, gone
from tallymark.web.live.overview import (
    PageTopic,
    TotalsTopic,
    read_once,
    read_pages,
    read_totals,
)
from tallymark.web.live.stream import JobWatch, OverviewWatch, Stream, Watch
from tallymark.web.routes.lists import overview_question

__all__ = ["Live", "add_live"]

_EVENT_STREAM = "text/event-stream"
#: Seconds between two looks at what is watched, or more.
_LEAST_PAUSE = 0.25
_TOTALS_PAUSE = 5.0
#: and so many times as long as the look took, so that reporting has the database to itself for nine tenths of the time;
#: nineteen twentieths where it is about figures that nobody minds to see later: rates of busy jobs take long to read.
_PAUSE_TIMES = 9
_TOTALS_PAUSE_TIMES = 19
#: Those for whom there is no stream come back spread over so many seconds.
_RETRY_SECONDS = (5, 15)


class Live:
    """All streams of this process."""

    def __init__(self, reader: Reader, gate: Gate, most: int) -> None:
        """Nothing is read before the first stream.

        Args:
            reader: Where to read.
            gate: Where to take turns with the requests, so that no more call the database than it expects.
            most: How many streams there may be.
        """
        self._most = most
        self._gate = gate
        self._lock = Lock()
        self._streams: set[Stream] = set()
        self._stopped = False
        self.bell = Bell()

        def read(*call: object) -> list[bytes | None]:
            with gate:
                return reader.call(*call)  # type: ignore[arg-type]

        def read_newest(*call: object) -> list[bytes | None]:
            with gate:
                return reader.newest(*call)  # type: ignore[arg-type]

        self.read: Read = read
        # A client that comes back knows what it was told last, perhaps by the primary, or of another replica.
        self.read_newest: Read = read_newest
        self.jobs = Poller[JobTopic](
            "tallymark-jobs",
            lambda topics: read_jobs(read, topics),
            self.bell,
            least_pause=_LEAST_PAUSE,
            pause_times=_PAUSE_TIMES,
        )
        self.pages = Poller[PageTopic](
            "tallymark-pages",
            lambda topics: read_pages(read, topics),
            self.bell,
            least_pause=_LEAST_PAUSE,
            pause_times=_PAUSE_TIMES,
        )
        self.totals = Poller[TotalsTopic](
            "tallymark-totals",
            lambda topics: read_totals(read, topics),
            self.bell,
            least_pause=_TOTALS_PAUSE,
            pause_times=_TOTALS_PAUSE_TIMES,
        )

    def open_stream(self, watch: Watch, tokens: Tokens) -> Stream:
        """Make a stream for the request that is being answered.

        Args:
            watch: What it tells of.
            tokens: Asked, at every beat, whether the caller may still read.

        Returns:
            The stream. It has to be closed.

        Raises:
            Problem: 503, there are as many streams as there may be, or the server stops.
        """
        environ = request.environ

        def may_go_on() -> bool:
            try:
                with self._gate:
                    return "read" in tokens.recheck(environ).scopes
            except Unavailable:
                return True  # nobody can tell just now, and there is nothing to be read either
            except Problem:
                return False

        stream = Stream(watch, self.bell, may_go_on=may_go_on, ended=self._forget)
        with self._lock:
            if len(self._streams) < self._most and not self._stopped:
                self._streams.add(stream)
                return stream
        raise Problem(
            HTTPStatus.SERVICE_UNAVAILABLE,
            "Too many streams",
            explanation=f"This process has {self._most} streams open, which is all that TALLYMARK_STREAMS allows. "
            "Ask again with `Accept: application/json` now and then, or come back later.",
            headers={"Retry-After": str(random.randint(*_RETRY_SECONDS))},  # noqa: S311 - spreads load
        )

    def stop(self) -> None:
        """End all streams, and open no more: the server stops, and would wait for them."""
        with self._lock:
            self._stopped = True
            streams = list(self._streams)
        for stream in streams:
            stream.stop()
        for poller in (self.jobs, self.pages, self.totals):
            poller.stop()

    def _forget(self, stream: Stream) -> None:
        with self._lock:
            self._streams.discard(stream)


def add_live(app: Flask, tokens: Tokens, reader: Reader, settings: Settings) -> None:
    """Give an application the route of streams, and the gate before all its routes.

    Args:
        app: The application. Its `extensions["tallymark.live"]` is then the `Live` that a server stops.
        tokens: Who may call.
        reader: Where to read.
        settings: How many streams, and how many requests at once.
    """
    gate = Gate(settings.blocking_threads, most_waiting=settings.max_waiting, longest_wait=settings.max_wait)
    app.extensions["tallymark.gate"] = gate
    live = app.extensions["tallymark.live"] = Live(reader, gate, settings.streams)
    app.wsgi_app = GatedApp(app.wsgi_app, gate)  # type: ignore[method-assign]

    @app.get("/events")
    @tokens.required_scope("read")
    def get_events() -> Response:
        """Tell of a job, or of the overview: for as long as the client listens, or once."""
        query = Query()
        job_id = query.text("job")
        after = _after(query)
        question = (caller().sql_prefix, *overview_question(query))
        if request.args.get("view") not in {None, "", "overview"}:
            query.problems.append({"field": "view", "problem": "must be overview"})
        query.check()
        if job_id is not None:
            caller().check_job(job_id.decode())
        # Never by default: who just tries the address would wait for the end of it.
        if _EVENT_STREAM not in request.accept_mimetypes.values():
            messages = _job_once(reader, job_id.decode(), after) if job_id else read_once(reader.call, question)
            return json_answer(b'{"messages":[%s]}' % b",".join(message.as_json for message in messages))
        if question[-1] is not None and job_id is None:
            reader.call(NEWEST_JOBS_LIVE, *question[:-2], b"0", question[-1])  # refuses a cursor that is none
        if request.method == "HEAD":
            return Response(content_type=_EVENT_STREAM)
        watch: Watch = (
            JobWatch(live.jobs, live.read_newest, job_id.decode(), after)
            if job_id is not None
            else OverviewWatch(live.pages, live.totals, question)
        )
        return Response(
            live.open_stream(watch, tokens),
            content_type=_EVENT_STREAM,
            # nginx would else keep back what is small.
            headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
        )


def _after(query: Query) -> int | None:
    """Return up to which event the client knows the job; None where it does not say."""
    # A browser that connects anew sends the header, and beside it the query of the first time.
    header = request.headers.get("Last-Event-ID", "")
    if header.isascii() and header.isdigit():
        return min(int(header[:20]), BIGINT)
    given = [number for name in ("lastEventId", "after") if (number := query.number(name, BIGINT)) is not None]
    return int(given[0]) if given else None


def _job_once(reader: Reader, job_id: str, after: int | None) -> list[Message]:
    """Return what there is to say of a job now."""
    message, _ = catch_up(reader.newest, job_id, Position(0, -1 if after is None else after))
    return [message or gone(job_id)]
