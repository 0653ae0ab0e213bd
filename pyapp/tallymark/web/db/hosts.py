"""The hosts of a database URL, in the order in which to try them: first the one that was connected to last.

A host that is switched off answers nothing, so each attempt at it takes the whole timeout. After a failover it may
stand first in the URL for hours.
"""

from contextlib import suppress

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

#: libpq allows no less.
_LEAST_SECONDS = 2


class Hosts:
    """The URL of a database, whose hosts change their order. Threads may share it."""

    def __init__(self, url: str) -> None:
        """Take a URL as libpq does: `host`, `hostaddr` and `port` may be lists with commas."""
        self._url = url
        self._names: tuple[str, ...] = ()
        #: The values of each host; none where there is only one, and where libpq will refuse the URL.
        self._hosts: list[tuple[str, ...]] = []
        with suppress(psycopg.ProgrammingError):
            given = conninfo_to_dict(url)
            lists = {name: str(given[name]).split(",") for name in ("host", "hostaddr", "port") if given.get(name)}
            count = max(map(len, lists.values()), default=1)
            if len(lists.get("port", ())) == 1:
                lists["port"] *= count
            if count > 1 and {len(each) for each in lists.values()} == {count}:
                self._names, self._hosts = tuple(lists), list(zip(*lists.values(), strict=True))

    def url(self) -> str:
        """Return the URL with the hosts in their present order."""
        hosts = self._hosts
        if not hosts:
            return self._url
        parts = {name: ",".join(host[place] for host in hosts) for place, name in enumerate(self._names)}
        return make_conninfo(self._url, **parts)

    def timeout(self, seconds: float) -> int:
        """Return each host's part of the time for connecting."""
        return max(_LEAST_SECONDS, round(seconds / max(1, len(self._hosts))))

    def prefer(self, host: str, port: int) -> None:
        """Put the host that was connected to first."""
        for found in self._hosts:
            named = dict(zip(self._names, found, strict=True))
            if host in {named.get("host"), named.get("hostaddr")} and named.get("port") in {None, "", str(port)}:
                self._hosts = [found, *(other for other in self._hosts if other != found)]
                return
