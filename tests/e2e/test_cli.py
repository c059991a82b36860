"""The `concord` command as people and scripts use it: what it prints, how it ends, what it never shows."""

import json
import os
import subprocess
import sys

import httpx
import pytest

from processes import SERVICES_ROOT, RunningSuite

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("e2e")]

PASSWORD = "hunter2-in-a-url"
COMMANDS = ("serve", "init", "openapi", "catalogue", "check", "explain")


def concord(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("CONCORD_")}
    return subprocess.run(
        [sys.executable, "-m", "concord.suite.cli", *arguments],
        env={**env, "PYTHONPATH": str(SERVICES_ROOT), "COLUMNS": "120", "NO_COLOR": "1", **environment},
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip


def test_the_printed_document_is_the_served_one(suite: RunningSuite) -> None:
    printed = concord("openapi", "scaleway")

    assert printed.returncode == 0
    document = json.loads(printed.stdout)
    assert document == httpx.get(f"{suite.http}/openapi/scaleway.json", timeout=10).json()
    assert document["openapi"].startswith("3.")
    unknown = concord("openapi", "nobody")
    assert (unknown.returncode, unknown.stdout, unknown.stderr) == (2, "", "concord: no dialect `nobody`\n")


def test_a_permission_can_be_asked_for_from_a_terminal(suite: RunningSuite) -> None:
    headers = {"x-auth-token": suite.bootstrap["scaleway"]["secret_key"]}
    where = ("--data-dir", str(suite.data_dir), "--grpc", suite.grpc("policy"))
    with httpx.Client(base_url=f"{suite.http}/iam/v1alpha1", headers=headers, timeout=20) as client:
        application = client.post("/applications", json={"name": "asked about"}).json()["id"]
        subject = ("--subject", f"application:{application}")

        owner = concord("check", "identity.users.create", *where)
        assert (owner.returncode, owner.stdout.split()[0]) == (0, "allow"), owner.stderr
        nobody = concord("check", "identity.users.list", *subject, *where)
        assert (nobody.returncode, nobody.stdout) == (1, "deny\n"), nobody.stderr
        why = concord("explain", "identity.users.list", *subject, *where)
        assert why.returncode == 1, why.stderr
        assert why.stdout.splitlines()[:2] == ["deny", "reason: nothing allows"]
        assert "would help: create grant IAMReadOnly" in why.stdout
        rule = {"permission_set_names": ["IAMReadOnly"], "organization_id": suite.bootstrap["organization"]["id"]}
        policy = client.post("/policies", json={"name": "reads", "application_id": application, "rules": [rule]})
        assert policy.status_code == 200
        reader = concord("check", "identity.users.list", *subject, *where)
        assert (reader.returncode, reader.stdout.split()[0]) == (0, "allow"), reader.stderr
        because = concord("explain", "identity.users.list", *subject, *where)
        assert because.returncode == 0, because.stderr
        assert because.stdout.startswith("allow\nreason: allowed\n")
        assert "  policy reads: allows\n" in because.stdout
        key = client.post("/api-keys", json={"application_id": application, "description": ""}).json()
        itself = concord("check", "identity.users.create", *where, CONCORD_TOKEN=key["secret_key"])
        assert (itself.returncode, itself.stdout) == (1, "deny\n"), itself.stderr
        client.delete(f"/applications/{application}")
    forged = concord("check", "identity.users.list", *where, CONCORD_TOKEN=PASSWORD)
    assert forged.returncode == 2
    assert forged.stderr.startswith("concord: ")
    assert PASSWORD not in forged.stdout + forged.stderr
    assert key["secret_key"] not in itself.stdout + itself.stderr


def test_the_catalogue_agrees_with_the_route_tables() -> None:
    checked = concord("catalogue", "--check")

    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


def test_help_names_every_command_and_every_variable() -> None:
    overview = concord("--help")
    assert overview.returncode == 0
    assert all(f" {command} " in overview.stdout for command in COMMANDS)

    # What is set in the environment is not printed as a default.
    url = f"postgresql://concord:{PASSWORD}@db.example/concord"
    serve = concord("serve", "--help", CONCORD_DATABASE_URL=url)
    assert serve.returncode == 0
    variables = "DATA_DIR HTTP GRPC DATABASE_URL TLS_CERT TRUSTED_PROXIES DRAIN_SECONDS ORGANIZATION_NAME OWNER_EMAIL"
    for name in variables.split():
        assert f"CONCORD_{name}" in serve.stdout
    assert PASSWORD not in serve.stdout


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("serve", "--nonsense"), "--nonsense"),
        (("serve", "nobody"), "`nobody` is not one of"),
        (("serve", "--port", "many"), "--port"),
        (("serve", "--http", "nowhere"), "--http must be host:port"),
        (("serve", "--grpc", "127.0.0.1:99999"), "--grpc must be host:port"),
        (("serve", "--tls-cert", "/nowhere/cert.pem"), "--tls-cert and --tls-key go together"),
        (("serve", "--port", "0", "--tls-cert", "/nowhere/cert.pem", "--tls-key", "/nowhere/key.pem"), "/nowhere/"),
        (("serve", "--port", "0", "--trusted-proxies", "not-a-network"), "not-a-network"),
        (("serve", "--port", "0", "--log-level", "shouting"), "shouting"),
        (("serve", "--port", "0", "--log-format", "poems"), "poems"),
        (("serve", "--port", "0", "--database-url", "mysql://db.example/x"), "URL"),
        (("check", "identity.users.list", "--grpc", "127.0.0.1:1"), "CONCORD_TOKEN"),
        (("check",), "permission"),
        (("nothing",), "nothing"),
    ],
)
def test_what_is_wrong_is_told_in_a_line_with_status_two(
    tmp_path_factory: pytest.TempPathFactory, arguments: tuple[str, ...], told: str
) -> None:
    where = str(tmp_path_factory.mktemp("bad") / "data")

    ended = concord(*arguments, CONCORD_DATA_DIR=where)

    assert ended.returncode == 2, ended.stderr
    assert told in ended.stderr
    assert "Traceback" not in ended.stderr
    assert ended.stdout == ""


@pytest.mark.parametrize("level", ["debug", "info", "warning", "error", "critical"])
def test_kb15_no_output_shows_the_password_of_a_database_url(
    tmp_path_factory: pytest.TempPathFactory, level: str
) -> None:
    urls = {
        "nobody answers": f"postgresql://concord:{PASSWORD}@127.0.0.1:1/concord?connect_timeout=2",
        "no number": f"postgresql://concord:{PASSWORD}@127.0.0.1:{PASSWORD}/concord",
        "no url": PASSWORD,
    }
    for format_, (kind, url) in zip(("json", "console", "console"), urls.items(), strict=True):
        where = tmp_path_factory.mktemp("secret") / "data"
        ended = concord(
            "serve", "identity", "--grpc", "127.0.0.1:0", "--data-dir", str(where),
            CONCORD_DATABASE_URL=url, CONCORD_LOG_LEVEL=level, CONCORD_LOG_FORMAT=format_,
        )  # fmt: skip
        assert ended.returncode == 2, (kind, ended.stderr)
        assert PASSWORD not in ended.stdout + ended.stderr, kind
        assert "Traceback" not in ended.stderr, kind
        assert ended.stderr.strip(), kind


def test_kb15_a_suite_under_way_logs_none_of_its_secrets(suite: RunningSuite) -> None:
    secrets = [
        value
        for part in ("native", "soracom", "ntt", "scaleway", "emporix", "intdash")
        for name, value in suite.bootstrap[part].items()
        if name in ("access_token", "api_key", "password", "authKey", "consumerSecret", "secret_key", "client_secret")
    ]
    assert len(secrets) == 8

    for process in suite.processes.values():
        log = process.log.read_text()
        assert [each for each in secrets if each in log] == []
