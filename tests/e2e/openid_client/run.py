"""Serves a suite and lets npm's openid-client go through its code flow. Needs Node 20, and npm to fetch the client.

Run it with `make openid-client`.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import grpc

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[2] / "services"), str(HERE.parents[1])]

from concord.credentials.v1 import oauth_client_pb2, oauth_client_service_pb2, oauth_client_service_pb2_grpc  # noqa: E402
from processes import RunningSuite, running, serve_whole  # noqa: E402

CALLBACK = "https://app.example/callback"
WORKSPACE = HERE.parents[2] / "build" / "openid-client"


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
        flow = json.dumps(_register(suite))
        done = subprocess.run(["node", "flow.mjs"], cwd=WORKSPACE, env={**os.environ, "CONCORD_FLOW": flow}, timeout=60)
    return done.returncode


def _register(suite: RunningSuite) -> dict[str, str]:
    login = suite.bootstrap["native"]["access_token"]
    with grpc.insecure_channel(suite.grpc("credentials")) as channel:
        made = oauth_client_service_pb2_grpc.OAuthClientServiceStub(channel).CreateOAuthClient(
            oauth_client_service_pb2.CreateOAuthClientRequest(
                oauth_client=oauth_client_pb2.OAuthClient(
                    name="openid-client",
                    grant_types=["authorization_code", "refresh_token"],
                    redirect_uris=[CALLBACK],
                    scopes=["openid", "offline_access"],
                )
            ),
            metadata=(("authorization", f"Bearer {login}"),),
            timeout=30,
        )
    return {
        "issuer": suite.http,
        "clientId": made.oauth_client.client_id,
        "clientSecret": made.secret,
        "login": login,
        "callback": CALLBACK,
    }


if __name__ == "__main__":
    sys.exit(main())
