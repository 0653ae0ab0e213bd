"""A round: every command, and every call of the endpoint, on one database; what they answer, by step.

What differs from run to run is replaced: times of today, durations, tokens, ids of processes.
"""

import gzip
import http.client
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

from click.testing import CliRunner
from werkzeug.serving import WSGIRequestHandler, make_server

from tallymark.cli import cli
from tallymark.settings import Settings
from tallymark.web import create_app

#: What each step answered, by the step's name.
Answers = dict[str, str]

HARD = "crawl 日\\ 'x' \"y\" 😀"
_NEW, _WEB, _TOKEN = "new 日 '\"\\", "web 日\\ '\"", "matrix-token"

#: The commands, in their order: by whom, and the words. `{archive}` is a directory of the round.
_COMMANDS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("installer", ("migrate",)),
    ("installer", ("rollback", "--steps", "1", "--yes")),
    ("installer", ("migrate", "--break-lock")),
    ("installer", ("doctor",)),
    ("upkeep", ("verify",)),
    ("upkeep", ("verify", "--json", HARD, "no such job")),
    ("upkeep", ("jobs",)),
    ("upkeep", ("jobs", "--json")),
    ("upkeep", ("jobs", "--json", "--q", "日", "--since", "2020-01-01")),
    ("upkeep", ("jobs", "--json", "--status", "running", "--item-type", "it's \"\\", "--limit", "1")),
    ("upkeep", ("job", "create", _NEW, "--attributes", '{"日": "\\\\ \'", "n": 0.1}', "--json")),
    ("upkeep", ("job", "create", _NEW)),
    ("upkeep", ("job", "show", HARD)),
    ("upkeep", ("job", "show", HARD, "--json")),
    ("upkeep", ("job", "show", HARD, "--json", "--at", "2", "--timeline", "2")),
    ("upkeep", ("job", "show", "pruned", "--json")),
    ("upkeep", ("job", "show", "no such job")),
    ("upkeep", ("job", "diagnose", HARD, "--json")),
    ("upkeep", ("job", "diagnose", "failed 2")),
    ("upkeep", ("job", "command", HARD, "pause", "--by", "Jürgen '\\")),
    ("upkeep", ("job", "command", "paused", "cancel", "--by", "x", "--json")),
    ("upkeep", ("token", "create", "新しい '\\", "--scope", "read", "--job-prefix", "日\\", "--expires", "9999-12-31")),
    ("upkeep", ("token", "list")),
    ("upkeep", ("token", "list", "--json")),
    ("upkeep", ("token", "revoke", "新しい '\\")),
    ("upkeep", ("watch", "done 日", "--until-done", "--json")),
    ("upkeep", ("watch", "failed 2", "--until-done")),
    ("upkeep", ("watchdog", "--once", "--json")),
    ("upkeep", ("watchdog", "--once")),
    ("upkeep", ("prune", "--older-than", "2026-01-01", "--keep", "0", "--dry-run", "--json")),
    ("upkeep", ("prune", "--older-than", "2026-01-01", "--keep", "1", "--share", "1")),
    ("upkeep", ("prune", "--delete-ended", "2026-06-01", "--archive", "{archive}", "--share", "1")),
    ("upkeep", ("verify", "--json")),
    ("upkeep", ("url",)),
)
#: Steps that read, when the settings are gone.
_AFTERWARDS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("installer", ("doctor", "--json")),
    ("upkeep", ("verify",)),
    ("upkeep", ("jobs", "--json")),
    ("upkeep", ("job", "show", HARD, "--json")),
    ("upkeep", ("job", "show", _WEB, "--json", "--timeline", "50")),
    ("upkeep", ("token", "list", "--json")),
)
#: Steps that write and read text, for what only a new process looks at.
_APART = tuple(
    (who, words)
    for who, words in _COMMANDS
    if words[0] in {"verify", "jobs", "token", "watch", "prune", "migrate"} or words[:2] == ("job", "show")
)

#: The commands, without their subcommands.
COVERED = {words[0] for _, words in _COMMANDS}

#: Pages of the endpoint whose numbers are always other ones: only their members are compared.
_MOVING = {"throughput", "database", "endpoint", "days"}
_PAGES = (
    "jobs?limit=5",
    "overview",
    "statuses",
    "throughput",
    "frequency",
    "accuracy",
    "database",
    "endpoint",
    "areas",
    "errors?since=2020-01-01T00:00:00Z",
    "stalled",
    "failures?since=2020-01-01T00:00:00Z",
    "days",
    "jobs?q=%E6%97%A5&updatedSince=2020-01-01T00:00:00Z",
    f"rates?id={quote(HARD, safe='')}",
)
_PARTS = (
    "",
    "?at=2",
    "/timeline",
    "/history?field=itemsByType.%E6%97%A5",
    "/areas",
    "/rate",
    "/stages",
    "/verify",
    "/diagnosis",
)


def go(urls: dict[str, str], directory: Path, *, apart: bool, afterwards: bool) -> Answers:
    """Make a round on the database of `urls`, which has one for `installer` and one for `upkeep`."""
    run = _in_a_process if apart else _in_this_process
    answers: Answers = {}
    commands = _AFTERWARDS if afterwards else _APART if apart else _COMMANDS
    if not afterwards and not apart:
        answers |= _endpoint(urls["upkeep"])
    for who, words in commands:
        name = " ".join(words)
        while name in answers:
            name += " again"
        filled = [word.replace("{archive}", str(directory / "archive")) for word in words]
        answers[name] = _steady(run(filled, urls[who]).replace(urls[who], "<url>"))
    for path in sorted(directory.glob("archive/**/*.gz")):
        with gzip.open(path, "rt", encoding="utf-8") as file:
            answers[f"archive {path.name}"] = _steady(file.read())
    return answers


def _options(words: list[str], url: str) -> list[str]:
    return words if words[0] == "url" else [*words, "--database-url", url]


def _in_this_process(words: list[str], url: str) -> str:
    """Run a command as its own function; return its exit code and what it printed."""
    result = CliRunner(env={"DATABASE_URL": url, "COLUMNS": "120"}).invoke(cli, _options(words, url))
    unexpected = result.exception is not None and not isinstance(result.exception, SystemExit)
    return "\n".join(
        [f"exit {result.exit_code}", result.stdout, result.stderr, repr(result.exception) if unexpected else ""]
    )


def _in_a_process(words: list[str], url: str) -> str:
    """Run a command as a process of its own; return its exit code and what it printed, as bytes where it must."""
    command = [sys.executable, "-c", "from tallymark.cli import main; main()", *_options(words, url)]
    environ = {**os.environ, "DATABASE_URL": url, "COLUMNS": "120"}
    done = subprocess.run(command, capture_output=True, check=False, env=environ, stdin=subprocess.DEVNULL, timeout=300)
    said = [stream.decode("utf-8", "backslashreplace") for stream in (done.stdout, done.stderr)]
    return "\n".join([f"exit {done.returncode}", *said])


# --- the endpoint ----------------------------------------------------------------------------------------------------


def _endpoint(url: str) -> Answers:
    """Register, report, send a batch, read all pages, follow a stream, and ask something of the crawler."""
    answers: Answers = {}
    with _serving(url) as port:

        def ask(method: str, path: str, body: object = None, *, moving: bool = False) -> None:
            status, text = _call(port, method, path, body)
            if moving and status == 200:
                text = json.dumps(sorted(json.loads(text)))
            name = f"{method} {path}"
            while name in answers:
                name += " again"
            answers[name] = _steady(f"{status} {text}")

        ask("GET", "/readyz")
        for _ in range(2):
            ask("POST", "/api/internal/jobs", {"taskId": _WEB, "attributes": {"日": "\\ '", "at": "31.12.2025"}})
        *updates, last = _updates()
        for body in updates:
            ask("POST", "/api/internal/jobs/progress", body)
        answers["stream"] = _steady(_first_of_stream(port))
        ask("POST", f"/api/internal/jobs/{quote(_WEB, safe='')}/command", {"command": "pause", "requestedBy": "日\\"})
        ask("POST", "/api/internal/jobs/progress", last)
        for page in _PAGES:
            ask("GET", f"/api/internal/{page}", moving=page in _MOVING)
        for job in (HARD, _WEB, "pruned"):
            for part in _PARTS:
                # What is found out about a job that reports just now depends on how fast it does.
                moving = job == _WEB and part in {"/rate", "/diagnosis"}
                ask("GET", f"/api/internal/jobs/{quote(job, safe='')}{part}", moving=moving)
    return answers


def _updates() -> Iterator[object]:
    def update(number: int, **members: object) -> dict[str, object]:
        at = f"2025-01-06T19:15:{number:02}.000Z"
        return {"taskId": _WEB, "updateId": f"日{number}\\", "status": "processing", "timestamp": at, **members}

    yield update(1, itemsByType={"日\\": 1}, message="31.12.2025 \\x41 '\" 😀", share=0.1 + 0.2, tiny=5e-324)
    yield update(1, itemsByType={"日\\": 1}, message="31.12.2025 \\x41 '\" 😀", share=0.1 + 0.2, tiny=5e-324)
    yield update(
        2,
        areas=[{"fullPath": "日/\\", "type": "group"}],
        itemKeys={"日é": ["\\x41", "😀'"]},
        resumeState={"null": ["NULL", "\\\\", 1e22]},
    )
    yield update(3, error={"type": "E\\", "message": "page 17 of '日' at C:\\17 gave \"502\""})
    yield update(4, itemsByType={"日": -1})
    yield {**update(5), "taskId": "no such job"}
    yield [update(n, itemsByType={"日": n}, cursor=f"\\{n}") for n in range(10, 40)]
    yield [update(n, itemsByType={"日": n}, cursor=f"\\{n}") for n in range(38, 42)] + [update(4, stage=5)]
    yield update(50, status="failed", error="gab auf: '日' \\d+")


def _first_of_stream(port: int) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        headers = {"Accept": "text/event-stream", "Authorization": f"Bearer {_TOKEN}", "Last-Event-ID": "0"}
        connection.request("GET", f"/events?job={quote(_WEB, safe='')}", headers=headers)
        answer = connection.getresponse()
        lines: list[str] = []
        while line := answer.readline().decode():
            lines.append(line)
            # The job, or that there is none: then only beats follow.
            if (line.startswith("data: ") and "lastSeq" in line) or lines.count("event: beat\n") == 2:
                break
        return "".join(line for line in lines if not line.startswith("id: "))
    finally:
        connection.close()


def _call(port: int, method: str, path: str, body: object) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    headers = {"Authorization": f"Bearer {_TOKEN}"}
    if body is not None:
        headers["Content-Type"] = "application/json"
    try:
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


class _Quiet(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: object) -> None:  # noqa: A002 - as in the base class
        """Write no line for each request."""


@contextmanager
def _serving(url: str) -> Iterator[int]:
    """Serve the application on a port, which is given."""
    app = create_app(Settings(database_url=url, crawler_api_tokens=(_TOKEN,), log_level="critical"))
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=_Quiet)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        app.extensions["tallymark.live"].stop()
        server.shutdown()
        thread.join()
        server.server_close()


# --- what differs from run to run ------------------------------------------------------------------------------------

_TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d(?::?\d\d)?)?")
_REPLACED = (
    (re.compile(r"tallymark_[0-9a-f]{64}"), "<token>"),
    (re.compile(r"tallymark_matrix_[0-9a-f]+"), "<database>"),
    (re.compile(r"/[^ \"']*/archive\b"), "<archive>"),
    (re.compile(r'"tag":"[^"]*"'), "<tag>"),
    (re.compile(r'("\w*(?:[sS]econds|[pP]erMinute|Gap|duration)": )[\d.]+'), r"\1<number>"),
    (
        re.compile(r"\b[\d.,]+ ?(?:d|h|min|s|ms|days?|hours?|minutes?|seconds?)\b(?: \d+ (?:h|min|s))?(?: ago)?"),
        "<age>",
    ),
    # The widths of columns follow from these.
    (re.compile(r" +(?=<age>)"), " "),
)


def _steady(text: str) -> str:
    """Replace what differs from run to run."""
    for pattern, replacement in _REPLACED:
        text = pattern.sub(replacement, text)
    return _TIME.sub(_unless_fixed, text)


def _unless_fixed(found: re.Match[str]) -> str:
    """Replace a time of today; others are data. One whose zone is not written is UTC's."""
    at = datetime.fromisoformat(found[0])
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return "<now>" if abs(datetime.now(UTC) - at) < timedelta(minutes=30) else found[0]


def answer_requests() -> None:
    """Make the rounds that are asked for on standard input, each in a fork with an environment of its own.

    A request is a line of JSON: the arguments of `go`, `environ`, and `answers`, the file for the answers.
    """
    for line in sys.stdin:
        request: dict[str, Any] = json.loads(line)
        child = os.fork()
        if child == 0:
            _answer(request)
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


def _answer(request: dict[str, Any]) -> None:
    code = 1
    try:
        import time

        os.environ.update(request["environ"])
        time.tzset()
        found = go(
            request["urls"], Path(request["directory"]), apart=request["apart"], afterwards=request["afterwards"]
        )
        Path(request["answers"]).write_text(json.dumps(found), encoding="utf-8")
        code = 0
    except BaseException:  # noqa: BLE001 - a fork must never return to the loop of its parent
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    answer_requests()
