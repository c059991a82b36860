"""Fixtures that the kernel's suites share."""

from databases import database_engines

__all__ = ["database_engines"]
