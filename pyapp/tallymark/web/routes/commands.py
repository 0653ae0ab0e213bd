"""What operators ask of crawlers: it waits on the job until an acknowledgement carries it, and until it is obeyed."""

from flask import Flask, Response, request

from tallymark.web.auth.tokens import Tokens, caller
from tallymark.web.db.pool import Database, Statement
from tallymark.web.http.answers import json_answer
from tallymark.web.http.requests import read_json_body
from tallymark.web.routes.jobs import job_key

#: Safe to run twice: asking again for what is asked already changes nothing.
RECEIVE_COMMAND = Statement(
    b"tallymark_receive_command",
    b"SELECT tallymark.receive_command($1::jsonb, $2::text, $3::text)",
    takes_json=True,
)


def add_commands(app: Flask, tokens: Tokens, database: Database, most_bytes: int) -> None:
    """Give an application the route by which operators ask something of a crawler.

    Args:
        app: The application; its converter of job ids is that of `add_jobs`.
        tokens: Who may ask.
        database: Where the jobs are.
        most_bytes: The largest body that is taken.
    """

    @app.post("/api/internal/jobs/<job_id:job_id>/command")
    @tokens.required_scope("admin")
    def request_command(job_id: str) -> Response:
        """Ask a job's crawler to pause, to resume or to cancel."""
        body = request.environ["tallymark.body"] = read_json_body(request.environ, most_bytes)
        who = caller()
        who.check_job(job_id)
        [job] = database.call(RECEIVE_COMMAND, body, job_key(job_id), who.name.encode() or None)
        return json_answer(job)
