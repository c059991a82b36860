"""Serves a suite and lets the vendor's npm client go through a quickstart. Needs Node 20, and npm to fetch the client.

Run it with `make scaleway-sdk`.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[2] / "services"), str(HERE.parents[1])]

from processes import RunningSuite, running, serve_whole  # noqa: E402

WORKSPACE = HERE.parents[2] / "build" / "scaleway-sdk"


def main() -> int:
    """Install the client, serve, run the flow; return its status."""
    for tool in ("node", "npm"):
        if shutil.which(tool) is None:
            print(f"{tool} is needed and was not found", file=sys.stderr)
            return 1
    WORKSPACE.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "flow.mjs"):
        shutil.copy(HERE / name, WORKSPACE / name)
    subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--silent"], cwd=WORKSPACE, check=True)
    with tempfile.TemporaryDirectory() as directory, running(serve_whole, Path(directory) / "data") as suite:
        flow = json.dumps(_facts(suite))
        done = subprocess.run(["node", "flow.mjs"], cwd=WORKSPACE, env={**os.environ, "CONCORD_FLOW": flow}, timeout=60)
    return done.returncode


def _facts(suite: RunningSuite) -> dict[str, str]:
    facts = suite.bootstrap["scaleway"]
    return {
        "url": suite.http,
        "accessKey": facts["access_key"],
        "secretKey": facts["secret_key"],
        "organizationId": facts["organization_id"],
        "projectId": facts["project_id"],
    }


if __name__ == "__main__":
    sys.exit(main())
