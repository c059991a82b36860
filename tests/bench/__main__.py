"""`make bench`: prints a table and writes `build/bench.json`."""

from bench import durable, served
from bench.table import publish


def main() -> None:
    """Measure everything."""
    publish([*served.figures(), *durable.figures()])


if __name__ == "__main__":
    main()
