"""Loads an HTTP server with updates, through `wrk`."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.errors import BenchmarkError

LUA = Path(__file__).parent / "load.lua"

#: The longest that wrk waits for the last answers.
_DRAIN_SECONDS = 2


@dataclass(frozen=True, slots=True)
class Answers:
    """What came back.

    Attributes:
        sent: Requests that were sent.
        good: Answers with the status 200.
        later: Answers with the status 503 and `Retry-After`.
        other: Answers with another status.
        example: The last of these, cut short; empty where there is none.
        errors: Connections that failed or timed out.
        seconds: From the first request to the last answer.
        p99_ms: The latency that 99 % of the requests stayed below, in milliseconds.
    """

    sent: int
    good: int
    later: int
    other: int
    example: str
    errors: int
    seconds: float
    p99_ms: float

    @property
    def per_second(self) -> float:
        """Answers with the status 200 a second."""
        return self.good / self.seconds if self.seconds > 0 else 0.0


@dataclass(frozen=True, slots=True)
class Load:
    """A stream of updates, each of them valid and distinct, over connections that are kept open.

    Attributes:
        url: Where to send them, with the path.
        token: What to show.
        prefix: What the ids of the jobs begin with.
        jobs: How many jobs there are; each update is for a random one.
    """

    url: str
    token: str
    prefix: str
    jobs: int

    def run(self, connections: int, seconds: int) -> Answers:
        """Send updates for some time, and wait for all answers.

        Returns:
            What came back.
        """
        server, slash, path = self.url.removeprefix("http://").partition("/")
        told = [slash + path, str(seconds), self.prefix, str(self.jobs)]
        duration = f"{seconds + _DRAIN_SECONDS}s"
        options = ["--threads", "1", "--connections", str(connections), "--duration", duration, "--timeout", "30s"]
        command = [wrk(), *options, "--script", str(LUA), f"http://{server}", "--", *told]
        # On the command line, every user of the machine could read the token.
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            cwd=LUA.parent.parent,
            env=os.environ | {"BENCH_TOKEN": self.token},
        )
        lines = done.stdout.strip().splitlines()
        if done.returncode != 0 or not lines or not lines[-1].startswith("{"):
            raise BenchmarkError(f"the load generator failed:\n{done.stderr.strip() or done.stdout.strip()}")
        return Answers(**json.loads(lines[-1]))


def wrk() -> str:
    """Find wrk. Where it is missing, root installs Debian's package.

    Raises:
        BenchmarkError: It is not installed, and cannot be.
    """
    if shutil.which("wrk") is None and os.geteuid() == 0 and shutil.which("apt-get"):
        print("wrk is not installed: installing Debian's package", file=sys.stderr)
        environ = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        for command in (["apt-get", "update", "-qq"], ["apt-get", "install", "-y", "-qq", "wrk"]):
            subprocess.run(command, env=environ, stdout=subprocess.DEVNULL, check=False)
    found = shutil.which("wrk")
    if found is None:
        raise BenchmarkError("wrk, which sends the requests, is not installed: on Debian, apt-get install wrk")
    return found
