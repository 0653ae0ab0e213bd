"""A URL that names several hosts leads to one that answers, and a silent host delays nobody for long."""

import socket
from contextlib import suppress

import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from tallymark.functions.http import Statement
from tallymark.settings import Settings
from tallymark.web.db.hosts import Hosts
from tallymark.web.db.pool import Database

_WHO = Statement(b"who", b"SELECT pg_backend_pid()::text")


def _accepted(silent: socket.socket) -> int:
    """Return how many connections were made since this was asked before."""
    silent.setblocking(False)
    count = 0
    with suppress(BlockingIOError):
        while True:
            silent.accept()[0].close()
            count += 1
    return count


def test_a_silent_host_is_waited_for_once(db_url: str) -> None:
    """It accepts connections and answers nothing; later connections begin with the host that answered."""
    given = conninfo_to_dict(db_url)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        hosts = {"host": f"127.0.0.1,{given['host']}", "port": f"{silent.getsockname()[1]},{given['port']}"}
        database = Database(make_conninfo(db_url, **hosts), Settings())
        try:
            database.call(_WHO)
            assert _accepted(silent) == 1
            for _ in range(3):
                database.close()
                database.call(_WHO)
            assert _accepted(silent) == 0
        finally:
            database.close()


@pytest.mark.parametrize(
    ("url", "host", "port", "expected"),
    [
        ("postgresql://a:1,b:2,c:3/db", "b", 2, {"host": "b,a,c", "port": "2,1,3"}),
        ("postgresql://a:1,a:2/db", "a", 2, {"host": "a,a", "port": "2,1"}),
        ("postgresql://a,b/db", "b", 5432, {"host": "b,a"}),
        ("host=a,b hostaddr=10.0.0.1,10.0.0.2 port=7", "10.0.0.2", 7, {"hostaddr": "10.0.0.2,10.0.0.1"}),
        ("postgresql:///db?host=/one,/two", "/two", 5432, {"host": "/two,/one"}),
        ("postgresql://a:1,b:2/db", "c", 2, {"host": "a,b", "port": "1,2"}),
        ("postgresql://a/db", "a", 5432, {"host": "a"}),
    ],
)
def test_the_host_that_was_connected_to_comes_first(url: str, host: str, port: int, expected: dict[str, str]) -> None:
    """The others keep their order, and all else in the URL stays."""
    hosts = Hosts(url)
    hosts.prefer(host, port)
    found = conninfo_to_dict(hosts.url())
    assert {name: found[name] for name in expected} == expected
    assert found.get("dbname") == conninfo_to_dict(url).get("dbname")


def test_a_url_that_libpq_will_refuse_is_left_to_libpq() -> None:
    """What is wrong with it is said where it is used."""
    for url in ("postgresql://%zz", "postgresql://a,b/db?port=1,2,3", "nonsense"):
        assert Hosts(url).url() == url
