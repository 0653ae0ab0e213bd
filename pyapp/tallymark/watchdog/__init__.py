"""The watchdog: checks all jobs in rounds, and tells operators once what is wrong and once when it is over.

What is wrong, and what has been sent, is kept in the database, so any number of watchdogs may run.
"""

from tallymark.watchdog.receivers import Receivers, ReceiversError
from tallymark.watchdog.rounds import Round, Watchdog

__all__ = ["Receivers", "ReceiversError", "Round", "Watchdog"]
