"""The change feed: how a service tells what it committed, and how others apply it."""
