"""Clients in other languages, generated outside the tree with each language's own plugins."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from compile import ROOT, WORKSPACE, buf, workspace

TOOLS = ROOT / "build" / "stub-tools"

# The versions that generated code was checked with.
TYPESCRIPT = {"@bufbuild/protobuf": "2.17.0", "@bufbuild/protoc-gen-es": "2.13.0", "typescript": "7.0.2"}
GO = {
    "google.golang.org/protobuf/cmd/protoc-gen-go": "v1.36.10",
    "google.golang.org/grpc/cmd/protoc-gen-go-grpc": "v1.5.1",
}
JAVA = {"protoc": ("com.google.protobuf", "4.33.0"), "protoc-gen-grpc-java": ("io.grpc", "1.76.0")}


def generate(language: str, out: Path) -> None:
    """Write a client for one language into `out`, replacing what is there."""
    makers = {"typescript": typescript, "go": go, "java": java}
    if language not in makers:
        raise SystemExit(f"make stubs LANG=… knows {', '.join(makers)}, not `{language}`")
    out = out.resolve()
    if ROOT in out.parents and ROOT / "build" not in out.parents:
        raise SystemExit("generated clients do not belong in the tree: choose a directory outside it")
    TOOLS.mkdir(parents=True, exist_ok=True)
    workspace()
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    makers[language](out)
    sys.stdout.write(f"{language} client in {out}\n")


def typescript(out: Path) -> None:
    """protoc-gen-es writes messages and service descriptors for Connect and gRPC-Web alike."""
    need("npm", "Node.js with npm")
    packages = [f"{name}@{version}" for name, version in TYPESCRIPT.items()]
    run("npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", str(TOOLS), *packages)
    plugin = TOOLS / "node_modules" / ".bin" / "protoc-gen-es"
    template(
        [{"local": str(plugin), "out": str(out), "opt": ["target=ts", "import_extension=js"], "include_imports": True}]
    )
    compiler = {
        "compilerOptions": {
            "strict": True,
            "noEmit": True,
            "target": "es2022",
            "module": "nodenext",
            "moduleResolution": "nodenext",
            "skipLibCheck": True,
            "types": [],
        },
        "include": ["**/*.ts"],
    }
    (out / "tsconfig.json").write_text(json.dumps(compiler, indent=2))
    (out / "package.json").write_text(
        json.dumps(
            {
                "name": "concord-client",
                "private": True,
                "type": "module",
                "dependencies": {"@bufbuild/protobuf": TYPESCRIPT["@bufbuild/protobuf"]},
            },
            indent=2,
        )
    )
    modules = out / "node_modules"
    modules.symlink_to(TOOLS / "node_modules")
    run(str(TOOLS / "node_modules" / ".bin" / "tsc"), "-p", str(out))
    modules.unlink()


def go(out: Path) -> None:
    """protoc-gen-go and protoc-gen-go-grpc; the module path is set by managed mode."""
    need("go", "Go 1.23 or newer")
    for package, version in GO.items():
        run("go", "install", f"{package}@{version}", environment={"GOBIN": str(TOOLS)})
    plugins = [
        {"local": str(TOOLS / name), "out": str(out), "opt": ["paths=source_relative"]}
        for name in ("protoc-gen-go", "protoc-gen-go-grpc")
    ]
    template(plugins)


def java(out: Path) -> None:
    """protoc's own Java output and grpc-java's plugin, both from Maven Central."""
    need("mvn", "Maven")
    for artifact, (group, version) in JAVA.items():
        target = f"{group}:{artifact}:{version}:exe:linux-x86_64"
        run(
            "mvn",
            "-q",
            "dependency:copy",
            f"-Dartifact={target}",
            f"-DoutputDirectory={TOOLS}",
            "-Dmdep.stripVersion=true",
        )
        for found in TOOLS.glob(f"{artifact}-linux-x86_64.exe"):
            shutil.move(found, TOOLS / artifact)
        (TOOLS / artifact).chmod(0o755)
    plugins = [
        {"protoc_builtin": "java", "protoc_path": str(TOOLS / "protoc"), "out": str(out)},
        {"local": str(TOOLS / "protoc-gen-grpc-java"), "out": str(out)},
    ]
    template(plugins)


def template(plugins: list[dict[str, object]]) -> None:
    """Run buf with these plugins; managed mode supplies the options that only one language needs."""
    managed = {
        "enabled": True,
        "override": [
            {"file_option": "go_package_prefix", "value": "example.com/concord/gen"},
            {"file_option": "java_package_prefix", "value": "com"},
            {"file_option": "java_multiple_files", "value": True},
        ],
        "disable": [{"file_option": "go_package", "path": "google"}],
    }
    path = WORKSPACE / "buf.gen.yaml"
    # JSON is YAML.
    path.write_text(json.dumps({"version": "v2", "managed": managed, "plugins": plugins}))
    buf("generate", "protos", "--template", str(path), cwd=WORKSPACE)


def need(program: str, what: str) -> None:
    """Say what is missing before anything is begun."""
    if shutil.which(program) is None:
        raise SystemExit(f"this needs {what}: `{program}` was not found")


def run(*command: str, environment: dict[str, str] | None = None) -> None:
    """Run a tool; end with its status when it fails."""
    done = subprocess.run(command, env={**os.environ, **(environment or {})})
    if done.returncode:
        raise SystemExit(f"`{command[0]}` failed")
