"""Crawlers of several kinds, as people run them."""
