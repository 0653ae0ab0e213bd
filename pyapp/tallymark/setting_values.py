"""What a setting's text in the environment may be: each function reads one kind, or says what it must be."""

import re
from collections.abc import Callable
from pathlib import Path


def whole(minimum: int, maximum: int) -> Callable[[str], int]:
    """Take a whole number.

    Args:
        minimum: The smallest that is taken.
        maximum: The largest.

    Returns:
        What reads it.
    """

    def parse(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            number = minimum - 1
        if not minimum <= number <= maximum:
            raise ValueError(f"must be a whole number from {minimum} to {maximum}")
        return number

    return parse


def seconds(text: str) -> float:
    """Read a number of seconds.

    Args:
        text: What the environment has.

    Returns:
        The value.

    Raises:
        ValueError: It is none; the message says what it must be.
    """
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number <= 3600:  # noqa: PLR2004 - an hour; this also refuses nan
        raise ValueError("must be a number of seconds, more than 0 and at most 3600")
    return number


def one_of(choices: tuple[str, ...]) -> Callable[[str], str]:
    """Take one of some words, in any letter case.

    Args:
        choices: The words, in lower case.

    Returns:
        What reads it.
    """

    def parse(text: str) -> str:
        if text.lower() not in choices:
            raise ValueError(f"must be one of {', '.join(choices)}")
        return text.lower()

    return parse


def flag(text: str) -> bool:
    """Read 1 or 0, or a word for it.

    Args:
        text: What the environment has.

    Returns:
        The value.

    Raises:
        ValueError: It is none; the message says what it must be.
    """
    answers = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
    if text.lower() not in answers:
        raise ValueError("must be 1 or 0")
    return answers[text.lower()]


def tokens(text: str) -> tuple[str, ...]:
    """Read tokens, separated by commas.

    Args:
        text: What the environment has.

    Returns:
        The value.

    Raises:
        ValueError: It is none; the message says what it must be.
    """
    found = tuple(token for part in text.split(",") if (token := part.strip()))
    # No header can carry other characters safely, so nobody could show such a token.
    if not all(re.fullmatch(r"[!-~]+", token) for token in found):
        raise ValueError("must be tokens of ASCII characters without blanks, separated by commas")
    return found


def url(*schemes: str) -> Callable[[str], str]:
    """Take a URL.

    Args:
        *schemes: What it may begin with.

    Returns:
        What reads it.
    """

    def parse(text: str) -> str:
        if not text.startswith(tuple(f"{scheme}://" for scheme in schemes)):
            raise ValueError(f"must be a URL that starts with {schemes[0]}://")
        return text

    return parse


def secret(text: str) -> str:
    """Read something long enough to be a secret.

    Args:
        text: What the environment has.

    Returns:
        The value.

    Raises:
        ValueError: It is none; the message says what it must be.
    """
    if len(text) < 12:  # noqa: PLR2004 - as many as nobody types by trial
        raise ValueError("must have at least 12 characters; `openssl rand -hex 32` makes a good one")
    return text


def urls(text: str) -> tuple[str, ...]:
    """Read URLs of any kind, separated by blanks.

    Args:
        text: What the environment has.

    Returns:
        The value.

    Raises:
        ValueError: It is none; the message says what it must be.
    """
    found = tuple(url for part in re.split(r"[\s,]+(?=[a-z][a-z0-9+.-]*://)", text) if (url := part.strip(" ,")))
    if not all(re.match(r"[A-Za-z][A-Za-z0-9+.-]*://.", url) for url in found):
        raise ValueError("must be URLs such as mailtos://user:password@example.com, separated by blanks")
    return found


def path(text: str) -> Path:
    """Read a path; a tilde is the home directory.

    Args:
        text: What the environment has.

    Returns:
        The path.
    """
    return Path(text).expanduser()


def mask_password(url: str) -> str:
    """Return a database URL that may be shown: its password, wherever it stands, is replaced by stars.

    Args:
        url: A libpq URL.

    Returns:
        The URL, still readable.
    """
    url = re.sub(r"^(\w+://[^/?#:]*):[^/?#]*@", r"\1:****@", url)
    return re.sub(r"([?&](?:ssl)?password=)[^&]*", r"\1****", url)
