"""Tallymark: keeps the progress of crawlers and other long-running jobs in PostgreSQL, and never loses count."""
