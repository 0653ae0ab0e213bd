"""The schema in a database: finding its files, installing it, taking it back, comparing it with the files."""
