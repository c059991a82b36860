"""Build hook: compiles the contracts into the package, so that wheels carry their stubs."""

import importlib.util
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class StubsHook(BuildHookInterface):  # type: ignore[type-arg]
    """Runs before a wheel is put together."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile; the generated folders are git-ignored, `artifacts` takes them along."""
        spec = importlib.util.spec_from_file_location("compile_protos", Path(self.root, "protos", "compile.py"))
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        module.compile_stubs(Path(self.root))
