"""Connections to the database and to its replica."""
