"""Tallymark: keeps the progress of crawlers and other long-running jobs in PostgreSQL, and never loses count.

The public names: the crawler's client, the stored functions as Python functions, the settings and the WSGI application.
Each is imported when it is first used, so that a crawler loads nothing of the server's.
"""

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tallymark.client import (
        DeliveryError as DeliveryError,
        FlushResult as FlushResult,
        Job as Job,
        ProgressClient as ProgressClient,
        Resume as Resume,
    )
    from tallymark.client.tqdm_bars import tqdm as tqdm, trange as trange
    from tallymark.functions import *  # noqa: F403 - all that is public there is public here
    from tallymark.settings import Settings as Settings
    from tallymark.web import create_app as create_app

#: Where the names are that are not in `tallymark.functions`.
_HOMES = {
    **dict.fromkeys(("DeliveryError", "FlushResult", "Job", "ProgressClient", "Resume"), "tallymark.client"),
    **dict.fromkeys(("tqdm", "trange"), "tallymark.client.tqdm_bars"),
    "Settings": "tallymark.settings",
    "create_app": "tallymark.web",
}


def __getattr__(name: str) -> object:
    """Import a public name when it is first used."""
    if name == "__all__":
        functions = vars(import_module("tallymark.functions")).items()
        names = {*_HOMES, *(public for public, value in functions if callable(value) and public[0] != "_")}
        # They need a library that not everybody has.
        return sorted(names if find_spec("tqdm") else names - {"tqdm", "trange"})
    home = import_module(_HOMES.get(name, "tallymark.functions")) if not name.startswith("_") else None
    if home is None or not callable(value := getattr(home, name, None)):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names, imported or not."""
    public: list[str] = __getattr__("__all__")  # type: ignore[assignment]  # a list of names
    return sorted({*globals(), *public})
