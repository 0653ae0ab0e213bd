"""The crawlers' side: a client that loses nothing.

It needs urllib3, and rich where it draws a bar, and nothing of the server's.
"""

from tallymark.client.client import ProgressClient
from tallymark.client.job import Job
from tallymark.client.resume import DeliveryError, Resume
from tallymark.client.transport import Answer, Transport, Unreachable

__all__ = ["Answer", "DeliveryError", "Job", "ProgressClient", "Resume", "Transport", "Unreachable"]
