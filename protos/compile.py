"""Everything that is done with the contracts: compile, lint, compare, generate for others.

Compiling needs grpcio-tools alone. The rest needs the development dependencies (buf), and
`--stubs` what it says when it is missing.
"""

import argparse
import os
import shutil
import subprocess
import sys
import sysconfig
from importlib import resources
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROTOS = ROOT / "protos"
SERVICES = ROOT / "services"
WORKSPACE = ROOT / "build" / "buf"
BASELINE = PROTOS / "baseline.binpb"
SITE = Path(sysconfig.get_path("purelib"))
# What our contracts import from Google beyond the well-known types.
GOOGLE = ("google/api/field_behavior.proto",)


def compile_stubs(root: Path = ROOT, *, typed: bool = False) -> None:
    """Compile every proto into `services/`; proto paths equal import paths, so nothing is rewritten."""
    from grpc_tools import protoc

    target = root / "services"
    arguments = [
        "protoc",
        f"-I{root / 'protos'}",
        f"-I{sysconfig.get_path('purelib')}",
        f"-I{resources.files('grpc_tools') / '_proto'}",
        f"--python_out={target}",
        f"--pyi_out={target}",
        f"--grpc_python_out={target}",
    ]
    if typed:
        plugin = Path(sys.executable).parent / "protoc-gen-mypy_grpc"
        arguments += [f"--plugin=protoc-gen-mypy_grpc={plugin}", f"--mypy_grpc_out=quiet:{target}"]
    arguments += [str(path) for path in sorted((root / "protos").rglob("*.proto"))]
    if protoc.main(arguments) != 0:
        raise SystemExit("the contracts do not compile")


def workspace() -> Path:
    """Lay out what buf wants: our module beside a copy of the Google protos it imports."""
    shutil.rmtree(WORKSPACE, ignore_errors=True)
    shutil.copytree(PROTOS / "concord", WORKSPACE / "protos" / "concord")
    for name in GOOGLE:
        target = WORKSPACE / "google" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(SITE / name, target)
    shutil.copy(PROTOS / "buf.yaml", WORKSPACE / "buf.yaml")
    return WORKSPACE


def buf(*arguments: str, cwd: Path, environment: dict[str, str] | None = None) -> None:
    """Run buf from the development dependencies."""
    program = Path(sys.executable).parent / "buf"
    done = subprocess.run([program, *arguments], cwd=cwd, env={**os.environ, **(environment or {})})  # noqa: S603
    if done.returncode:
        raise SystemExit(done.returncode)


def lint() -> None:
    """Check the contracts' form, their format, and that they only grew since the baseline."""
    space = workspace()
    buf("lint", "protos", cwd=space)
    buf("format", "--diff", "--exit-code", "protos", cwd=space)
    buf("breaking", "protos", "--against", str(BASELINE), cwd=space)


def baseline() -> None:
    """Write the descriptor set that later contracts are compared with."""
    buf("build", "protos", "--exclude-source-info", "-o", str(BASELINE), cwd=workspace())


def main() -> None:
    """Do what the flags ask for; compile without any."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--typed", action="store_true", help="also write types for the service stubs")
    parser.add_argument("--lint", action="store_true", help="lint, format check, compatibility check")
    parser.add_argument("--format", action="store_true", help="format the contracts in place")
    parser.add_argument("--baseline", action="store_true", help="move the compatibility baseline")
    parser.add_argument("--stubs", metavar="LANG", help="generate a client: typescript, go or java")
    parser.add_argument("--out", default="", help="where generated clients go (default: build/stubs/LANG)")
    options = parser.parse_args()
    if options.lint:
        lint()
    elif options.format:
        space = workspace()
        buf("format", "-w", "protos", cwd=space)
        shutil.copytree(space / "protos" / "concord", PROTOS / "concord", dirs_exist_ok=True)
    elif options.baseline:
        baseline()
    elif options.stubs is not None:
        sys.path.insert(0, str(PROTOS))
        import stubs

        stubs.generate(options.stubs, Path(options.out) if options.out else ROOT / "build" / "stubs" / options.stubs)
    else:
        compile_stubs(typed=options.typed)


if __name__ == "__main__":
    main()
