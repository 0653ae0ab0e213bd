"""A Scrapy extension that reports a spider's progress to Tallymark.

    EXTENSIONS = {"tallymark.scrapy.ProgressExtension": 500}
    TALLYMARK_URL = "http://127.0.0.1:8000"
    TALLYMARK_TOKEN = "..."

Items are counted by their class, each once, even if a killed crawl visits the same pages again. The spider has the job
as `self.progress`, unless it has an attribute of that name itself; `job_of` returns it everywhere. Optional settings:

- `TALLYMARK_JOB_ID`: the job's id. `{spider}` in it stands for the spider's name, which is also the default.
- `TALLYMARK_WORKER`: the name of this process, if several crawl for one job.
- `TALLYMARK_SPOOL`: the directory for updates that the server does not have yet, and for the keys that were counted.
  Default: `tallymark` in the `JOBDIR`, or else in the project's `.scrapy`.
- `TALLYMARK_ITEM_KEY`: what distinguishes an item from others of its class: the name of a field, or the path of a
  callable (item, response) -> str. Default: the fingerprint of the item's request, and the item's number among the
  items of that request in the crawl. An item without the field, or for which the callable returns None, has the
  default key.
- `TALLYMARK_ITEM_TYPE`: the type of an item: the name of a field, the path of a callable (item) -> str, or a
  dictionary from the names of classes to types. Default: the name of its class, and `items` for a plain dictionary.
- `TALLYMARK_ENDS`: a dictionary from the reasons for which a spider is closed to `completed`, `paused`, `failed` or
  `cancelled`.
- `TALLYMARK_RESTART_AFTER_KILL`: whether a crawl with a `JOBDIR` begins again after a kill.
- `TALLYMARK_ENABLED`: False reports nothing.
"""

from tallymark.scrapy.extension import ProgressExtension
from tallymark.scrapy.jobs import job_of

__all__ = ["ProgressExtension", "job_of"]
