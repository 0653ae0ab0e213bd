"""Tokens and sessions: who calls, and what that caller may do."""
