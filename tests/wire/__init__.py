"""The wire protocol as data, and what plays it against a server; see README.md."""
