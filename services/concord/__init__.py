"""Concord: one identity and access management core, several vendors' dialects."""

__version__ = "0.1.0.dev0"
