"""The crawlers' side: a client that loses nothing. Needs urllib3, and rich where it draws a bar, and nothing else of ours."""

from tallymark.client.client import ProgressClient
from tallymark.client.job import DeliveryError, Job, Resume
from tallymark.client.transport import Answer, Transport, Unreachable

__all__ = ["Answer", "DeliveryError", "Job", "ProgressClient", "Resume", "Transport", "Unreachable"]
