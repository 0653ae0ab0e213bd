r"""Text that others wrote, made harmless for terminals and logs.

A terminal obeys control characters, and U+202E reverses what follows it. Everything that we print or log goes through
these functions. They spell out, such as `\x1b`, whatever Python does not call printable: control characters, formats,
separators, surrogates, and what is not assigned.
"""

import json
from collections.abc import Callable
from typing import Any


def plain(value: object) -> str:
    r"""Return a text as one harmless line: what is not printable is spelled out, such as `\x1b` or `\n`."""
    text = str(value)
    if text.isprintable():
        return text
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape", "backslashreplace").decode()
        for letter in text
    )


def plain_lines(text: str) -> str:
    """Return a text that may have several lines, each of them harmless."""
    return text if text.isprintable() else "\n".join(map(plain, text.split("\n")))


def plain_json(document: object, *, indent: int | None = None, default: Callable[[Any], Any] | None = None) -> str:
    r"""Write a document as JSON in which everything is printable; what is not is an escape of JSON, such as `\u009b`.

    Letters of all languages stay as they are. What reads the JSON gets the same document.
    """
    text = json.dumps(document, indent=indent, ensure_ascii=False, default=default)
    return text if text.isprintable() else "\n".join(map(_escaped, text.split("\n")))


def _escaped(line: str) -> str:
    if line.isprintable():
        return line
    # What JSON has outside its strings is printable, so each of these characters is in a string.
    return "".join(letter if letter.isprintable() else json.dumps(letter)[1:-1] for letter in line)
