"""Audit: the append-only record of what was changed."""
