"""Text that others wrote reaches no terminal as it is: not from a command, not from the log."""

import ast
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb
from tests.cli.terminal import in_terminal

import tallymark
from tallymark.cli import main
from tallymark.logs import configure_logging
from tallymark.plain import plain, plain_json
from tallymark.settings import Settings

Connection = psycopg.Connection[Any]

#: Escape, a C1 control sequence introducer, right-to-left override, line separator, a tag, a BOM, a bell, a line's end.
NASTY = "\x1b[2J\x9b31m\u202eevil\u2028\U000e0041\ufeff\x07\r\nx"
SPELLED = r"\x1b[2J\x9b31m\u202eevil\u2028\U000e0041\ufeff\x07\r\nx"
_PACKAGE = Path(tallymark.__file__).parent
#: What a crawler's process imports prints nothing of ours; the endpoint answers HTTP.
_PRINTING = ("cli", "schema", "server", "simulate", "terminal", "watchdog")


def harmless(written: str) -> bool:
    """Return whether all is printable but the ends of lines."""
    return written.replace("\n", "").isprintable()


def test_only_one_module_writes_to_the_terminal() -> None:
    """Every command prints through it, so none can forget to make what it prints harmless."""
    found = {
        str(path.relative_to(_PACKAGE))
        for package in _PRINTING
        for path in (_PACKAGE / package).rglob("*.py")
        for call in _calls(path)
        if call in {"click.echo", "click.secho", "click.style", "print", "sys.stdout.write", "sys.stderr.write"}
        or call.endswith("onsole.print")
    }
    # The picture is a file, not a terminal.
    assert found == {"terminal/screen.py", "simulate/picture.py"}


def _calls(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func)


@pytest.mark.parametrize("value", [NASTY, [NASTY], {NASTY: {"a": NASTY}}, {"half": "\ud83d"}, "日本語 é 🙂", 1, None])
@pytest.mark.parametrize("indent", [None, 2])
def test_json_is_the_same_document_and_printable(value: object, indent: int | None) -> None:
    """Letters of all languages stay readable."""
    written = plain_json(value, indent=indent)
    assert json.loads(written) == value
    assert harmless(written)
    assert ("日本語" in written) == (value == "日本語 é 🙂")


def test_a_text_is_spelled_out_on_one_line() -> None:
    """And what is printable stays as it is."""
    assert plain(NASTY) == SPELLED
    assert plain("日本語 é 🙂 'x'") == "日本語 é 🙂 'x'"


@pytest.fixture
def nasty(db: Connection) -> str:
    """A job in which everything that a crawler can name has such characters in it."""
    db.execute("SELECT tallymark.create_job(%s, %s)", [NASTY, Jsonb({NASTY: NASTY})])
    update = {
        "currentDataType": NASTY[:90],
        "stage": NASTY[:90],
        "message": NASTY,
        "lastProcessedId": NASTY,
        "itemsByType": {NASTY: 3},
        "error": {"type": NASTY, "message": NASTY, "code": NASTY},
        "progress": {NASTY: NASTY},
        "credentialStatus": {"providerId": NASTY, "message": NASTY},
        NASTY: NASTY,
        "timeline": [{"timestamp": "2025-01-06T10:00:00Z", "event": NASTY, "details": {NASTY: NASTY}}],
    }
    for status in ("started", "processing", "credential_expiry", "processing"):
        db.execute("SELECT tallymark.merge_progress(%s, %s)", [NASTY, Jsonb({**update, "status": status})])
    return NASTY


@pytest.mark.parametrize(
    "arguments",
    [
        ("jobs",),
        ("jobs", "--json"),
        ("job", "show", NASTY),
        ("job", "show", NASTY, "--json"),
        ("job", "show", NASTY, "--at", "2"),
        ("job", "show", "un" + NASTY),
        ("job", "show", "un" + NASTY, "--json"),
        ("job", "create", NASTY, "--json"),
        ("job", "create", "new" + NASTY),
        ("job", "command", NASTY, "pause", "--by", NASTY),
        ("job", "command", "un" + NASTY, "pause"),
        ("job", "diagnose", NASTY),
        ("job", "diagnose", NASTY, "--json"),
        ("job", "diagnose", "un" + NASTY),
        ("verify", NASTY),
        ("verify", "un" + NASTY, "--json"),
        ("verify",),
        ("watchdog", "--once"),
        ("watchdog", "--once", "--json"),
        ("watchdog", "--once", "--notify", NASTY),
        ("token", "create", NASTY, "--scope", "read", "--job-prefix", NASTY),
        ("token", "revoke", "un" + NASTY),
        ("token", "list"),
        ("token", "list", "--json"),
        ("prune", "--older-than", "0s", "--keep", "0"),
        ("prune", "--older-than", NASTY),
        ("watch", "un" + NASTY, "--until-done"),
        ("jobs", "--cursor", NASTY),
        ("jobs", "--status", NASTY),
        (NASTY,),
        ("--" + NASTY,),
    ],
    ids=lambda arguments: " ".join(map(ascii, arguments))[:60],
)
@pytest.mark.usefixtures("nasty")
def test_no_command_prints_what_a_terminal_obeys(
    db: Connection, db_url: str, arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    """Whether it works or fails, for people and for scripts."""
    db.execute("UPDATE tallymark.job SET progress = progress || '{\"processedItems\": 8}'")
    where = () if arguments[0].startswith(("-", NASTY[0])) else ("--database-url", db_url)
    with pytest.raises(SystemExit):
        main([*arguments, *where])
    written = "".join(capsys.readouterr())
    assert written
    assert harmless(written), ascii(written)


def test_what_is_watched_is_harmless_too(db: Connection, db_url: str, nasty: str) -> None:
    """In a picture, of one job and of many, and in lines."""
    db.execute('SELECT tallymark.merge_progress(%s, \'{"message": "again"}\')', [nasty])
    for named in ((nasty,), ()):
        with in_terminal("watch", *named, "--database-url", db_url, width=130, height=20) as terminal:
            terminal.until(lambda screen: r"\u202eevil" in screen)
            terminal.type(b"\x03")
            # Read meanwhile: it may be in the middle of a picture.
            terminal.until(lambda _screen: terminal.process.poll() is not None)
            written = terminal.written.decode()
        assert not set("\x9b\u202e\u2028\ufeff\x07\U000e0041") & set(written)
        assert "\x1b[2J\\x9b" not in written


@pytest.mark.parametrize("style", ["console", "json"])
def test_the_log_is_harmless(style: str, capsys: pytest.CaptureFixture[str]) -> None:
    """In its message, in its members, and in a traceback."""
    logger = logging.getLogger("tallymark")
    before = logger.handlers, logger.propagate, logger.level
    configure_logging(Settings(log_format=style))
    try:
        try:
            int(NASTY)
        except ValueError:
            logger.exception("a job said %s", NASTY, extra={"job": NASTY, "counts": {NASTY: 1}})
    finally:
        logger.handlers, logger.propagate = before[:2]
        logger.setLevel(before[2])
    written = capsys.readouterr().err
    assert harmless(written), ascii(written)
    if style == "json":
        assert json.loads(written)["message"] == f"a job said {NASTY}"
    else:
        assert f"a job said {SPELLED}" in written
