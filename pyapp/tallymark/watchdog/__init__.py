"""The watchdog: looks at all jobs again and again, and tells operators what is wrong and when it is over.

What is wrong, and whom nobody has told yet, is the database's to know: any number of watchdogs may run.
"""

from tallymark.watchdog.receivers import Receivers, ReceiversError
from tallymark.watchdog.rounds import Round, Watchdog

__all__ = ["Receivers", "ReceiversError", "Round", "Watchdog"]
