"""Measurements against bare servers of the same kind, interleaved in one run. `make bench`."""
