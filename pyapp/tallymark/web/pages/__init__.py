"""What people see in a browser: signing in, and the pages of the dashboard.

The pages themselves are scripts (pyapp/dashboard) that read the HTTP API. Here is what brings them to the browser.
"""

from tallymark.web.auth.sessions import Sessions
from tallymark.web.pages.dashboard import add_dashboard
from tallymark.web.pages.sign_in import add_sign_in

__all__ = ["Sessions", "add_dashboard", "add_sign_in"]
