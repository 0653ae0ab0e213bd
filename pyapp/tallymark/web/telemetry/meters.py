"""What is counted: the metrics of a process, which several processes keep together where they share a directory.

All of them are in one registry, that `measures` and `metrics` read.
"""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics

#: Seconds: what lies between two of them is told apart by interpolation only, so they are close where most answers are.
BUCKETS = (
    *(0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.05, 0.075),
    *(0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 7.5, 10.0),
)
#: Types of errors that are told apart; crawlers may send any.
_MOST_TYPES = 50
_LONGEST_TYPE = 60

registry = CollectorRegistry()
# A time for each counter, of each process, would double what is scraped; nobody asks for it.
disable_created_metrics()  # type: ignore[no-untyped-call]  # it has no types


class Meters:
    """The metrics."""

    def __init__(self) -> None:
        """Make them; each process has one set."""
        self.request_seconds = Histogram(
            "tallymark_request_seconds",
            "Time from taking a request to answering it",
            ("route", "method", "status"),
            buckets=BUCKETS,
            registry=registry,
        )
        # The earliest of all processes', also of those that have ended, for what they counted is still there.
        self.since = Gauge(
            "tallymark_counting_since_seconds", "When counting began", registry=registry, multiprocess_mode="min"
        )
        self.since.set_to_current_time()
        self._updates = Counter(
            "tallymark_updates",
            "Updates by their status and what became of them; code is the HTTP status of those that were refused",
            ("status", "outcome", "code"),
            registry=registry,
        )
        self.merge_seconds = Histogram(
            "tallymark_merge_seconds",
            "Time that the database took for a request of progress: one update, or a batch",
            buckets=BUCKETS,
            registry=registry,
        )
        self._errors = Counter(
            "tallymark_reported_errors", "Errors that crawlers reported, by their type", ("type",), registry=registry
        )
        self.late_updates = Counter(
            "tallymark_late_updates",
            "Updates accepted more than a minute after they happened: replayed from a spool, or by a slow clock",
            registry=registry,
        )
        self.turned_away = Counter(
            "tallymark_turned_away", "Requests answered 503 because too many waited, or too long", registry=registry
        )
        self.waiting = Gauge(
            "tallymark_waiting_requests",
            "Requests that wait for their turn",
            registry=registry,
            multiprocess_mode="livesum",
        )
        self.connections = Gauge(
            "tallymark_pool_connections",
            "Connections to the database, by pool and state: open, free, and requests that wait for one",
            ("pool", "state"),
            registry=registry,
            multiprocess_mode="livesum",
        )
        self._types: set[str] = set()

    def count_update(self, status: str, outcome: str, code: str = "") -> None:
        """Count an update.

        Args:
            status: Its status, where it was taken; else empty, for then it may be anything.
            outcome: `accepted`, `duplicate` or `refused`.
            code: The HTTP status of its refusal.
        """
        self._updates.labels(status, outcome, code).inc()

    def count_error(self, kind: str) -> None:
        """Count an error that a crawler reported.

        Args:
            kind: Its type, as the crawler calls it.
        """
        kind = kind[:_LONGEST_TYPE]
        if kind not in self._types:
            if len(self._types) >= _MOST_TYPES:
                kind = "other"
            self._types.add(kind)
        self._errors.labels(kind).inc()


meters = Meters()
