"""Connections to the database, and calls of stored functions over them."""
