"""`make bench`: prints a table and writes `build/bench.json`."""

from bench import credentials, decisions, durable, rpc_decisions, served
from bench.table import publish


def main() -> None:
    """Measure everything."""
    publish(
        [*decisions.figures(), *rpc_decisions.figures(), *credentials.figures(), *served.figures(), *durable.figures()]
    )


if __name__ == "__main__":
    main()
