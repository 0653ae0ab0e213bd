"""What every route shares of HTTP: bodies, queries, answers, problems."""
