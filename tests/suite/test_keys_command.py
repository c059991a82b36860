"""`concord keys`: what it lists, what it makes, what it refuses."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from concord.kernel.keyring import Keyring
from concord.suite.cli import app


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    ring = Keyring(tmp_path / "keys")
    ring.hashing_key()
    ring.seal(b"x", b"c")
    ring.passport_keys()
    return tmp_path


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["keys", *arguments])
    return result.exit_code, result.output


def test_a_rotation_makes_a_key_of_each_kind_and_the_list_shows_them(data_dir: Path) -> None:
    status, made = run("rotate", "--data-dir", str(data_dir))
    _, listed = run("list", "--data-dir", str(data_dir))

    ids = dict(line.split() for line in made.splitlines())
    assert (status, set(ids)) == (0, {"sealing", "passports"})
    rows = [line.split() for line in listed.splitlines()]
    assert [row[0] for row in rows if row[1] in ids.values() and row[-1] == "newest"] == ["passports", "sealing"]
    assert [row[0] for row in rows if row[-1] == "older"] == ["role-passports", "sealing"]
    secrets = [path.read_text().strip() for path in (data_dir / "keys").glob("*.key")]
    assert not any(secret in listed + made for secret in secrets)


def test_one_kind_is_rotated_alone(data_dir: Path) -> None:
    _, made = run("rotate", "--data-dir", str(data_dir), "--kind", "sealing")

    assert [line.split()[0] for line in made.splitlines()] == ["sealing"]
    assert len(Keyring(data_dir / "keys").sealing_keys()) == 2


@pytest.mark.parametrize("arguments", [("--kind", "hashing"), ("--data-dir", "/nowhere/at/all")])
def test_what_cannot_be_rotated_is_refused(data_dir: Path, arguments: tuple[str, ...]) -> None:
    status, _ = run("rotate", "--data-dir", str(data_dir), *arguments)

    assert status == 2
    assert len(Keyring(data_dir / "keys").sealing_keys()) == 1
