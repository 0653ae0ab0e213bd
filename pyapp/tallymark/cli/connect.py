"""How commands that call stored functions reach the database, and say what went wrong there."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from tallymark.calling import Connection
from tallymark.cli.options import CannotRun
from tallymark.errors import NO_RIGHT, TallymarkError
from tallymark.schema.migrate import libpq_url


@contextmanager
def connected(url: str) -> Iterator[Connection]:
    """Connect, in autocommit.

    Args:
        url: A libpq URL.

    Yields:
        The connection.

    Raises:
        CannotRun: The database is away, or refused the call; the message has every problem.
    """
    try:
        with psycopg.connect(libpq_url(url), autocommit=True) as connection:
            yield connection
    except psycopg.Error as error:
        raise CannotRun(str(error).strip()) from error
    except TallymarkError as error:
        raise CannotRun(_sentence(error)) from error


def _sentence(error: TallymarkError) -> str:
    """Say what was wrong in one line."""
    if error.sqlstate == NO_RIGHT:
        return "this user of the database lacks the right to do that, which tallymark_admin has"
    if error.details:
        return f"{error}: " + "; ".join(f"{problem['field']} {problem['problem']}" for problem in error.details)
    # What PostgreSQL said tells more than what the wire protocol answers.
    said = error.explanation or str(error.__cause__ or "").strip()
    return " ".join(filter(None, (f"{error}.", said, error.hint)))
