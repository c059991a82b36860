"""Real `concord` processes for tests: the whole suite in one, or each role in its own."""

import contextlib
import json
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SERVICES_ROOT = Path(__file__).resolve().parents[1] / "services"
START_SECONDS = 60.0
STOP_SECONDS = 30.0


def free_port() -> int:
    """Return a port that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Process:
    """One `concord` process; its standard output is read line by line, its log kept in a file."""

    def __init__(
        self,
        *arguments: str,
        log: Path,
        environment: dict[str, str] | None = None,
        program: Sequence[str] = ("-m", "concord.suite.cli"),
    ) -> None:
        self.log = log
        # Tests use cheap password hashing and their own settings only.
        env = {k: v for k, v in os.environ.items() if not k.startswith("CONCORD_")}
        env |= {"PYTHONPATH": str(SERVICES_ROOT), "PYTHONUNBUFFERED": "1", **(environment or {})}
        self._log_file = log.open("ab")
        self.process = subprocess.Popen(
            [sys.executable, *program, *arguments],
            stdout=subprocess.PIPE,
            stderr=self._log_file,
            env=env,
        )
        self._lines: queue.Queue[bytes | None] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line)
        self._lines.put(None)

    def wait_ready(self, seconds: float = START_SECONDS) -> dict[str, Any]:
        """Return the ready line's content."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            with contextlib.suppress(queue.Empty):
                line = self._lines.get(timeout=left)
                if line is None:
                    break
                with contextlib.suppress(ValueError):
                    content: dict[str, Any] = json.loads(line)
                    return content
        raise AssertionError(f"not ready; its log ends:\n{self.log.read_text()[-4000:]}")

    def kill(self) -> None:
        """End it as a crash would."""
        self.process.kill()
        self._finish()

    def stop(self, seconds: float = STOP_SECONDS) -> int:
        """Ask it to end and return its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        finally:
            self._finish()

    def _finish(self) -> None:
        self.process.wait(STOP_SECONDS)
        assert self.process.stdout is not None
        self.process.stdout.close()
        self._log_file.close()


@dataclass
class RunningSuite:
    """A served suite: where it listens and the first owner's credentials."""

    bootstrap: dict[str, Any]
    data_dir: Path
    processes: dict[str, Process]
    addresses: dict[str, str] = field(default_factory=dict)

    @property
    def http(self) -> str:
        """Base URL of the REST shim."""
        url: str = self.bootstrap["http"]
        return url

    def grpc(self, service: str) -> str:
        """Address of one service."""
        return self.addresses[service]

    def stop(self) -> None:
        """Stop all, the gateway first."""
        for process in reversed(self.processes.values()):
            process.stop()


def serve_whole(data_dir: Path, *arguments: str, environment: dict[str, str] | None = None) -> RunningSuite:
    """Start everything in one process on free ports."""
    process = Process(
        "serve", "--data-dir", str(data_dir), "--port", "0", *arguments,
        log=data_dir.with_suffix(".log"), environment=environment,
    )  # fmt: skip
    try:
        ready = process.wait_ready()
    except BaseException:
        process.kill()
        raise
    bootstrap = json.loads(Path(ready["bootstrap"]).read_text())
    services = ("identity", "credentials", "groups", "policy", "audit")
    return RunningSuite(bootstrap, data_dir, {"all": process}, dict.fromkeys(services, ready["grpc"]))


def serve_apart(data_dir: Path, *arguments: str, environment: dict[str, str] | None = None) -> RunningSuite:
    """Start each service and the gateway in a process of its own, and make the first organization."""
    services = ("identity", "credentials", "groups", "policy", "audit")
    addresses = {service: f"127.0.0.1:{free_port()}" for service in services}
    http = f"127.0.0.1:{free_port()}"
    env = {f"CONCORD_{s.upper()}_ADDRESS": a for s, a in addresses.items()} | (environment or {})
    processes: dict[str, Process] = {}
    data_dir.mkdir(parents=True, exist_ok=True)
    try:
        for role in (*services, "gateway"):
            listen = ("--http", http) if role == "gateway" else ("--grpc", addresses[role])
            processes[role] = Process(
                "serve", role, "--data-dir", str(data_dir), *listen, *arguments,
                log=data_dir.with_suffix(f".{role}.log"), environment=env,
            )  # fmt: skip
        for process in processes.values():
            process.wait_ready()
        init = subprocess.run(
            [sys.executable, "-m", "concord.suite.cli", "init", "--data-dir", str(data_dir), "--http", http],
            env={**os.environ, "PYTHONPATH": str(SERVICES_ROOT), **env},
            capture_output=True, text=True, timeout=START_SECONDS,
        )  # fmt: skip
        assert init.returncode == 0, init.stderr + "".join(p.log.read_text()[-2000:] for p in processes.values())
    except BaseException:
        for process in processes.values():
            process.kill()
        raise
    bootstrap = json.loads((data_dir / "bootstrap.json").read_text())
    return RunningSuite(bootstrap, data_dir, processes, addresses)


@contextlib.contextmanager
def running(start: Any, data_dir: Path, **options: Any) -> Iterator[RunningSuite]:
    """Serve while the block runs."""
    suite = start(data_dir, **options)
    try:
        yield suite
    finally:
        suite.stop()
