"""The tests of a distributed database."""
