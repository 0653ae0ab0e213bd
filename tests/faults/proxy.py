"""A TCP proxy whose connections can be cut at the worst moments: before, while or after a request takes effect."""

import asyncio
import random
import socket
import struct
import threading
from collections.abc import Callable
from enum import Enum
from typing import Self

_HOST = "127.0.0.1"
_CHUNK_BYTES = 2**18
#: Closing with this option sends a reset and discards unsent data.
_RESET = struct.pack("ii", 1, 0)


class Cut(Enum):
    """The moments at which a connection is cut."""

    BEFORE = "before the request gets through"
    PARTLY = "when half of the request is through"
    DURING = "when the request is through, with nobody left to hear the answer"
    AFTER = "when the answer is there: it took effect, and no client gets to know"


class Proxy:
    """Passes connections on to a port of this machine; a context manager.

    Attributes:
        upstream: The port that connections are passed on to; may be changed at any time.
        port: The port that it listens on.
        cuts: How many connections it has cut.
    """

    def __init__(
        self, upstream: int, *, is_request: Callable[[bytes], bool], is_success: Callable[[bytes], bool], seed: int
    ) -> None:
        """Prepare a proxy.

        Args:
            upstream: The port to forward connections to.
            is_request: Returns whether the client's bytes are a request that may be cut.
            is_success: Returns whether the server's bytes answer such a request that took effect.
            seed: The seed of the random numbers.
        """
        self.upstream = upstream
        self.port = 0
        self.cuts = 0
        self._is_request = is_request
        self._is_success = is_success
        self._random = random.Random(seed)
        self._armed: Cut | None = None
        self._left = 0
        self._lock = threading.Lock()
        self._fired = threading.Event()
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="proxy", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *_error: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    def cut(self, when: Cut, count: int, patience: float) -> int:
        """Cut connections at the next chances.

        Args:
            when: At which moment.
            count: How many.
            patience: Seconds to wait for chances.

        Returns:
            How many were cut.
        """
        self._fired.clear()
        with self._lock:
            self._armed, self._left = when, count
        self._fired.wait(patience)
        with self._lock:
            done, self._armed, self._left = count - self._left, None, 0
        return done

    def _takes(self, moments: set[Cut]) -> Cut | None:
        """Use one of the wanted cuts, if it is for one of these moments."""
        with self._lock:
            if self._armed not in moments:
                return None
            taken = self._armed
            self.cuts += 1
            self._left -= 1
            if not self._left:
                self._armed = None
                self._fired.set()
            return taken

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._listen())

    async def _listen(self) -> None:
        server = await asyncio.start_server(self._serve, _HOST, 0)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        server.close()

    async def _serve(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        try:
            server, to_server = await asyncio.open_connection(_HOST, self.upstream)
        except OSError:
            # The server is not listening. The client gets nearly the same as without the proxy.
            _reset(to_client)
            return
        pumps = [
            asyncio.ensure_future(self._requests(client, to_server, to_client)),
            asyncio.ensure_future(self._answers(server, to_client, to_server)),
        ]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            # Both directions have ended, with or without an error, before the sockets are closed.
            await asyncio.gather(*pumps, return_exceptions=True)
            to_server.close()
            to_client.close()

    async def _requests(
        self, client: asyncio.StreamReader, to_server: asyncio.StreamWriter, to_client: asyncio.StreamWriter
    ) -> None:
        while chunk := await client.read(_CHUNK_BYTES):
            cut = self._takes({Cut.BEFORE, Cut.PARTLY, Cut.DURING}) if self._is_request(chunk) else None
            if cut is not None:
                through = {Cut.BEFORE: 0, Cut.PARTLY: len(chunk) // 2}.get(cut, len(chunk))
                # An orderly close towards the server, which so gets everything that was meant to arrive.
                to_server.write(chunk[:through])
                _reset(to_client)
                return
            to_server.write(chunk)
            await to_server.drain()

    async def _answers(
        self, server: asyncio.StreamReader, to_client: asyncio.StreamWriter, to_server: asyncio.StreamWriter
    ) -> None:
        while chunk := await server.read(_CHUNK_BYTES):
            if self._is_success(chunk) and self._takes({Cut.AFTER}):
                if self._random.random() < 0.5:
                    # Only the first half of an answer gets through then.
                    to_client.write(chunk[: len(chunk) // 2])
                else:
                    _reset(to_client)
                _reset(to_server)
                return
            to_client.write(chunk)
            await to_client.drain()


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close a connection without a word."""
    plain = writer.get_extra_info("socket")
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()
