"""The bodies of requests, read whole or not at all: within a size, a time, and the memory for all of them.

A body comes with its length or chunked, plain or compressed. gunicorn raises where a chunked body is cut off. Granian
ends it like a whole one; but both JSON and compressed data say themselves where they end, so a part is never taken.
"""

import re
import zlib
from collections.abc import Iterable, Iterator
from http import HTTPStatus
from typing import TYPE_CHECKING

from tallymark.settings import Settings
from tallymark.web.http.answers import Problem
from tallymark.web.http.body_memory import BodyMemory, Share
from tallymark.web.http.slow_bodies import Environ, SlowBodies

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication

#: Where the environment of a request keeps what its body takes of the memory.
_SHARE = "tallymark.body_share"
#: Set in the environment of a request whose body is not to be thrown away: it was read, or will not be read at all.
_IS_DONE = "tallymark.body_is_done"
#: The body of a refused request is read and thrown away, up to this multiple of the size limit. If the answer went out
#: while the body still came in, the client would find its connection reset, and never see the answer.
_DISCARD_FACTOR = 16
_PIECE_BYTES = 65_536
#: When a client may send its request again that was cut off by a stop: a restart takes a few seconds.
_STOPPING_RETRY_SECONDS = 5
#: The length of a body that comes in chunks.
_CHUNKED = -1
_CONTENT_LENGTH = re.compile(r"[0-9]{1,20}")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_GZIP = frozenset({"gzip", "x-gzip"})
#: zlib's number for data in the format of gzip.
_GZIP_FORMAT = 31


class Bodies:
    """Reads the bodies of requests; made once for an application."""

    def __init__(self, settings: Settings) -> None:
        """Take the limits."""
        self._max_bytes = settings.max_body_bytes
        self._slow = SlowBodies(settings.body_timeout)
        # Fewer than the server has threads, see server/granian.py, also with all streams and held jobs.
        self._most_at_once = settings.blocking_threads + settings.max_waiting // 2
        # One body always fits, also if it is compressed.
        self._memory = BodyMemory(max(settings.body_memory, 2 * settings.max_body_bytes + 2 * _PIECE_BYTES))

    @property
    def rejected(self) -> int:
        """How many bodies were not read, or not to their end, because there were too many."""
        return self._memory.rejected

    def stop(self) -> None:
        """End the reading of all bodies that do not come within half a second: the server stops."""
        self._slow.stop()

    def around(self, app: "WSGIApplication") -> "WSGIApplication":
        """Return an application that forgets the body of each request when its answer is made."""

        def answer(environ: Environ, start_response: "StartResponse") -> Iterable[bytes]:
            try:
                result = app(environ, start_response)
            finally:
                if _SHARE in environ:
                    environ.pop(_SHARE).end()
            return self._slow.closing(environ, result)

        return answer

    def read_json(self, environ: Environ) -> bytes:
        """Return the body of a request: not empty, and without zero bytes and a byte order mark; it may not be JSON.

        The application must be inside `around`.

        Raises:
            Problem: 400, 408, 411, 413, 415 or 503.
        """
        if self._slow.count >= self._most_at_once:
            # Its body is not read, not even to be thrown away: that would take one more thread.
            environ[_IS_DONE] = True
            raise self._memory.refusal("Too many bodies are being read.")
        try:
            length, is_compressed = self._checked(environ)
            share = None
            if length == _CHUNKED or is_compressed or length > BodyMemory.SMALL_BYTES:
                share = environ[_SHARE] = Share(self._memory)
                share.grow(max(length, 0))
        except Problem:
            self.discard(environ, self._max_bytes * _DISCARD_FACTOR)
            raise
        environ[_IS_DONE] = True
        if share is None:
            body = self._read(environ, length)
        else:
            body = self._read_chunked(environ, share) if length == _CHUNKED else self._read(environ, length)
            if is_compressed:
                body = self._decompressed(body, share)
        if b"\0" in body:
            # libpq would take it for the end of the text.
            raise _invalid_body("must be UTF-8, without the byte 0")
        body = body.removeprefix(_BYTE_ORDER_MARK)
        if not body or body.isspace():
            raise _invalid_body("is empty")
        return body

    def discard(self, environ: Environ, max_bytes: int = _PIECE_BYTES) -> None:
        """Read what there is of the body of a refused request, and throw it away. Raises nothing."""
        if _IS_DONE in environ:
            return  # a server whose input does not end by itself would wait for more
        if "HTTP_EXPECT" in environ:
            return  # this client sends nothing before it gets a 100
        environ[_IS_DONE] = True
        if self._slow.count >= self._most_at_once:
            return
        left = max_bytes
        given = environ.get("CONTENT_LENGTH") or ""
        if _CONTENT_LENGTH.fullmatch(given):
            left = min(max_bytes, int(given))
        elif not environ.get("wsgi.input_terminated"):
            return  # reading on where the body ends would wait for more
        began = self._slow.begin(environ)
        try:
            self._skip(environ, left, began)
        finally:
            self._slow.end()

    def _checked(self, environ: Environ) -> tuple[int, bool]:
        """Return the length of a body, or `_CHUNKED`, and whether it is compressed; raise what the headers tell."""
        length = _length(environ)
        if length > self._max_bytes:
            raise self._too_large(f"The body has {length} bytes. The limit is {self._max_bytes} bytes.")
        if environ.get("CONTENT_TYPE") != "application/json":
            _check_type(environ.get("CONTENT_TYPE") or "")
        return length, "HTTP_CONTENT_ENCODING" in environ and _is_gzip(environ["HTTP_CONTENT_ENCODING"])

    def _read(self, environ: Environ, length: int) -> bytes:
        """Read a body of a known length."""
        if not length:
            return b""
        body: bytes = b""
        began = self._slow.begin(environ)
        try:
            body = environ["wsgi.input"].read(length)
        except OSError:
            pass  # gunicorn raises where the connection was reset
        finally:
            self._slow.end()
        if len(body) < length:
            raise self._cut_off(environ, began, "is shorter than its Content-Length")
        return body

    def _read_chunked(self, environ: Environ, share: Share) -> bytes:
        """Read a body of unknown length, to its end or to the first byte that is too many."""
        pieces: list[bytes] = []
        left = self._max_bytes + 1
        began = self._slow.begin(environ)
        try:
            while piece := environ["wsgi.input"].read(min(_PIECE_BYTES, left)):
                left -= len(piece)
                self._count(piece, left - 1, share, "The body")
                pieces.append(piece)
                if self._slow.is_over(environ, began):
                    break
        except Problem:
            self._skip(environ, self._max_bytes * _DISCARD_FACTOR, began)
            raise
        except Exception:  # noqa: BLE001 - a server has exceptions of its own for this
            raise self._cut_off(environ, began, "is not made of whole chunks") from None
        finally:
            self._slow.end()
        if self._slow.is_over(environ, began):
            # It may be cut off by us.
            raise self._cut_off(environ, began, "")
        return b"".join(pieces)

    def _skip(self, environ: Environ, left: int, began: float) -> None:
        """Read so many bytes at most, and throw them away."""
        try:
            while left > 0 and not self._slow.is_over(environ, began):
                piece = environ["wsgi.input"].read(min(_PIECE_BYTES, left))
                if not piece:
                    return
                left -= len(piece)
        except Exception:  # noqa: BLE001 - it ended early, in one of many ways, and was not wanted
            return

    def _decompressed(self, body: bytes, share: Share) -> bytes:
        """Return what is in a compressed body. No more of it is ever in memory than the limit."""
        pieces: list[bytes] = []
        left = self._max_bytes
        try:
            for piece in _unpacked(body):
                left -= len(piece)
                self._count(piece, left, share, "Decompressed, the body")
                pieces.append(piece)
        except zlib.error:
            raise _invalid_body("is not in the format of gzip, or is damaged") from None
        return b"".join(pieces)

    def _count(self, piece: bytes, left: int, share: Share, name: str) -> None:
        """Count a piece of a body that may have `left` bytes more. Raises 413, about the body by this name, or 503."""
        if left < 0:
            raise self._too_large(f"{name} has more than {self._max_bytes} bytes, which is the limit.")
        share.grow(len(piece))

    def _cut_off(self, environ: Environ, began: float, problem: str) -> Problem:
        """Return 408 for a body that did not come in time, 503 if the server stops, and else 400."""
        if not self._slow.is_over(environ, began):
            return _invalid_body(problem)
        if self._slow.stops:
            return Problem(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "Server stopping",
                explanation="The server stops, and the body has not arrived. Nothing was changed. "
                "Send the request again.",
                headers={"Retry-After": str(_STOPPING_RETRY_SECONDS), "Connection": "close"},
            )
        return Problem(
            HTTPStatus.REQUEST_TIMEOUT,
            "Request timeout",
            explanation=f"The body did not arrive within {self._slow.seconds:g} s. Nothing was changed. "
            "Send the request again.",
            headers={"Connection": "close"},
        )

    def _too_large(self, explanation: str) -> Problem:
        return Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "Request body too large", explanation=explanation)


def _length(environ: Environ) -> int:
    coding = environ.get("HTTP_TRANSFER_ENCODING")
    if coding is not None:
        # Without its promise to end a body itself, a server passes on only a part of it.
        if coding.strip().lower() == "chunked" and environ.get("wsgi.input_terminated"):
            return _CHUNKED
        raise Problem(
            HTTPStatus.LENGTH_REQUIRED,
            "Length required",
            explanation="This server does not take a body in this Transfer-Encoding. Send it with Content-Length.",
        )
    given = environ.get("CONTENT_LENGTH") or "0"
    if not _CONTENT_LENGTH.fullmatch(given):
        # `read` would take a negative number for no limit at all.
        raise _invalid_body("has a Content-Length that is not a number")
    return int(given)


def _check_type(content_type: str) -> None:
    media = content_type.partition(";")[0].strip().lower()
    if media != "application/json" and not (media.startswith("application/") and media.endswith("+json")):
        raise _unsupported("Send the body as application/json.", {"Accept": "application/json"})


def _is_gzip(encoding: str) -> bool:
    name = encoding.strip().lower()
    if name not in _GZIP and name != "identity":
        raise _unsupported("Send the body without Content-Encoding, or with gzip.", {"Accept-Encoding": "gzip"})
    return name in _GZIP


def _unpacked(body: bytes) -> Iterator[bytes]:
    """Decompress a body bit by bit. One member is taken, as every client sends it, and nothing after it."""
    unzip = zlib.decompressobj(wbits=_GZIP_FORMAT)
    for start in range(0, len(body), _PIECE_BYTES):
        packed = body[start : start + _PIECE_BYTES]
        while packed and not unzip.eof:
            yield unzip.decompress(packed, _PIECE_BYTES)
            packed = unzip.unconsumed_tail
        if unzip.eof and (unzip.unused_data or packed or start + _PIECE_BYTES < len(body)):
            raise _invalid_body("has something after the end of its gzip data")
    while not unzip.eof:
        rest = unzip.decompress(b"", _PIECE_BYTES)
        if not rest:
            raise _invalid_body("ends before its gzip data does")
        yield rest


def _unsupported(explanation: str, accepted: dict[str, str]) -> Problem:
    return Problem(
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "Unsupported media type", explanation=explanation, headers=accepted
    )


def _invalid_body(problem: str) -> Problem:
    return Problem(HTTPStatus.BAD_REQUEST, "Invalid request body", details=[{"field": "", "problem": problem}])
