"""Job progress as it happens: `/events`, a stream of server-sent events.

`poller` reads what is watched, once for all who watch it; `jobs` and `overview` are what can be watched; `stream` is
one connection.
"""

import random
from functools import partial
from http import HTTPStatus
from threading import Lock

from flask import Flask, Response, request

from tallymark.functions.errors import Unavailable
from tallymark.functions.http import NEWEST_JOBS_LIVE
from tallymark.web.auth.tokens import Tokens, caller
from tallymark.web.db.replica import Reader
from tallymark.web.http.admission import AdmissionQueue
from tallymark.web.http.answers import Problem, json_answer
from tallymark.web.http.requests import Query, position_of
from tallymark.web.live.jobs import JobFeed, JobSubscription, Position, catch_up, read_jobs
from tallymark.web.live.overview import (
    OverviewSubscription,
    PageFeed,
    TotalsFeed,
    read_once,
    read_pages,
    read_totals,
)
from tallymark.web.live.poller import Pause, Poller, Read, WakeChain
from tallymark.web.live.stream import Message, Stream, Subscription, gone
from tallymark.web.routes.lists import NEVER_REPORTED, never_reported, overview_question

__all__ = ["Live", "add_live"]

_EVENT_STREAM = "text/event-stream"
#: These pauses leave nine tenths of the time to reporting. Totals leave nineteen twentieths: they may be older,
#: and take long to read when jobs are busy.
_PAUSE = Pause(0.25, 9)
_TOTALS_PAUSE = Pause(5.0, 19)
#: The range of Retry-After, which is random so that clients without a stream do not all come back at once.
_RETRY_SECONDS = (5, 15)


class Live:
    """All streams of this process. A server that ends calls `stop`."""

    def __init__(self, reader: Reader, queue: AdmissionQueue, max_streams: int, never_reported: bytes) -> None:
        """Nothing is read before the first stream; what is read takes a turn in the queue, like requests."""
        self._max_streams = max_streams
        self._queue = queue
        self._lock = Lock()
        self._streams: set[Stream] = set()
        self._stopped = False
        self._chain = WakeChain()

        def read(*call: object) -> list[bytes | None]:
            with queue:
                return reader.call(*call)  # type: ignore[arg-type]

        def read_newest(*call: object) -> list[bytes | None]:
            with queue:
                return reader.newest(*call)  # type: ignore[arg-type]

        def read_primary(*call: object) -> list[bytes | None]:
            with queue:
                return reader.primary(*call)  # type: ignore[arg-type]

        # A client that comes back may know more than the replica, from the primary or from another replica.
        self.read_newest: Read = read_newest
        self.jobs = Poller[JobFeed]("tallymark-jobs", partial(read_jobs, read, read_primary), self._chain, _PAUSE)
        self.pages = Poller[PageFeed]("tallymark-pages", partial(read_pages, read), self._chain, _PAUSE)
        self.totals = Poller[TotalsFeed](
            "tallymark-totals", partial(read_totals, read, never_reported), self._chain, _TOTALS_PAUSE
        )

    def open_stream(self, subscription: Subscription, tokens: Tokens) -> Stream:
        """Return a stream for the request at hand; it must be closed.

        It ends when the caller may no longer read. Raises 503 if there are too many streams, or the server stops.
        """
        environ = request.environ

        def may_go_on() -> bool:
            try:
                with self._queue:
                    return "read" in tokens.recheck(environ).scopes
            except Unavailable:
                return True  # the database is away, so there is nothing to read either
            except Problem:
                return False

        stream = Stream(subscription, self._chain, may_go_on=may_go_on, ended=self._forget)
        with self._lock:
            if len(self._streams) < self._max_streams and not self._stopped:
                self._streams.add(stream)
                return stream
        raise Problem(
            HTTPStatus.SERVICE_UNAVAILABLE,
            "Too many streams",
            explanation=f"This process has {self._max_streams} open streams, the limit that TALLYMARK_STREAMS sets. "
            "Poll with `Accept: application/json`, or try again later.",
            headers={"Retry-After": str(random.randint(*_RETRY_SECONDS))},  # noqa: S311 - spreads load
        )

    def stop(self) -> None:
        """End all streams, and refuse new ones: a server that stops waits for open answers."""
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


def add_live(app: Flask, tokens: Tokens, reader: Reader, queue: AdmissionQueue, max_streams: int) -> None:
    """Give an application the route of streams, and `extensions["tallymark.live"]`, the `Live` that a server stops."""
    live = app.extensions["tallymark.live"] = Live(reader, queue, max_streams, app.config[NEVER_REPORTED])

    @app.get("/events")
    @tokens.required_scope("read")
    def get_events() -> Response:
        """Send what happens to a job, or to the jobs of the overview: while the client listens, or once."""
        query = Query()
        job_id = query.text("job")
        known = _known(query)
        question = (caller().sql_prefix, *overview_question(query))
        query.choice("view", "overview")
        query.check()
        if job_id is not None:
            caller().check_job(job_id.decode())
        # A stream must be asked for: somebody who just tries the address would wait for its end.
        if _EVENT_STREAM not in request.accept_mimetypes.values():
            messages = (
                _job_once(reader, job_id.decode(), known)
                if job_id
                else read_once(reader.call, question, never_reported())
            )
            return json_answer(b'{"messages":[%s]}' % b",".join(message.as_json for message in messages))
        if question[-1] is not None and job_id is None:
            reader.call(NEWEST_JOBS_LIVE, *question[:-2], b"0", question[-1])  # refuses a wrong cursor
        if request.method == "HEAD":
            return Response(content_type=_EVENT_STREAM)
        subscription: Subscription = (
            JobSubscription(live.jobs, live.read_newest, job_id.decode(), known)
            if job_id is not None
            else OverviewSubscription(live.pages, live.totals, question)
        )
        return Response(
            live.open_stream(subscription, tokens),
            content_type=_EVENT_STREAM,
            # Otherwise nginx would hold back small parts.
            headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
        )


def _known(query: Query) -> Position:
    """Return how much of a job the client knows."""
    given = [position for name in ("lastEventId", "after") if (position := query.position(name)) is not None]
    # A browser that connects again sends the header beside the query of the first time.
    header = position_of(request.headers.get("Last-Event-ID", ""))
    seq, mark = header or (given[0] if given else (-1, None))
    return Position(0, seq, mark)


def _job_once(reader: Reader, job_id: str, known: Position) -> list[Message]:
    """Return the message about a job for a client that asks once."""
    message, _ = catch_up(reader.newest, job_id, known)
    return [message or gone(job_id)]
