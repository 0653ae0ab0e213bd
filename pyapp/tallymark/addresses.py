"""The addresses of the pages that people open. The server serves these, and links in messages are made from them.

The pages' scripts have them in `pyapp/dashboard/src/main.tsx` and `lib/router.ts`; a test compares.
"""

from urllib.parse import quote

#: The pages of the dashboard: paths below the server's address.
PAGES = ("/", "/job", "/errors", "/history", "/areas", "/system")


def job_page(job_id: str) -> str:
    """Return the address of a job's page, below the server's."""
    return f"/job?id={quote(job_id, safe='')}"
