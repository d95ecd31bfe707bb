"""The compose files: services that wait for each other, are looked after, and get secrets as files only."""

import re
import shutil
import stat
import subprocess
from pathlib import Path

import pytest
import yaml

from mlobs_pipelines.settings import Settings

COMPOSE = Path(__file__).parents[2] / "deploy" / "compose"
WRITTEN = sorted(COMPOSE.parent.rglob("*.yaml"))
FILE = yaml.safe_load((COMPOSE / "compose.yaml").read_text(encoding="utf-8"))
SERVICES = FILE["services"]
SECRET = re.compile(
    r"password|secret|key|token|(postgres|mirror)_url$|options|sources|channels", re.IGNORECASE
)


def keys_said_twice(node):
    """Name the keys that a mapping of a document has more than once, which PyYAML lets pass."""
    if not isinstance(node, yaml.CollectionNode):
        return []
    parts = node.value
    twice = []
    if isinstance(node, yaml.MappingNode):
        names = [key.value for key, _ in node.value]
        twice = [name for name in names if names.count(name) > 1]
        parts = [value for _, value in node.value]
    return twice + [name for part in parts for name in keys_said_twice(part)]


def _plugin():
    docker = shutil.which("docker")
    asked = [docker, "compose", "version"]
    return docker and subprocess.run(asked, check=False, capture_output=True).returncode == 0


def secret_settings():
    """Give the settings that hold secrets: those that are never shown."""
    fields = Settings.model_fields.items()
    return {name for name, one in fields if "SecretStr" in str(one.annotation) or not one.repr}


def test_docker_reads_the_files(tmp_path):
    """Where docker has its compose plugin, that accepts the file with all profiles."""
    if not _plugin():
        pytest.skip("no docker compose here")
    shutil.copytree(COMPOSE, tmp_path / "deploy" / "compose")
    shutil.copy(COMPOSE / ".env.example", tmp_path / "deploy" / "compose" / ".env")
    asked = ["docker", "compose", "--profile", "*", "config", "--quiet"]
    done = subprocess.run(
        asked, check=False, capture_output=True, text=True, cwd=tmp_path / "deploy" / "compose"
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("path", WRITTEN, ids=lambda path: str(path.relative_to(COMPOSE.parent)))
def test_no_key_is_said_twice(path):
    """Docker and Kubernetes refuse a whole file for a key that is there twice."""
    for document in yaml.compose_all(path.read_text(encoding="utf-8")):
        assert not keys_said_twice(document)


def test_a_key_that_is_said_twice_is_found():
    """At any depth; the same key in two mappings is none."""
    node = yaml.compose("a: {b: 1}\nc: [{d: 1, e: {b: 1}}, {d: 2, b: 1, d: 3}]")
    assert keys_said_twice(node) == ["d", "d"]


def test_the_whole_system_is_there():
    """Database, code server, daemon, two webservers of which one is read-only, commands and dashboards."""
    assert {name for name, one in SERVICES.items() if not one.get("profiles")} == {
        *("postgres", "code", "daemon", "webserver", "webserver-read-only"),
    }
    assert {name: one["profiles"] for name, one in SERVICES.items() if one.get("profiles")} == {
        "mlobs": ["commands"],
        "metrics": ["prometheus"],
        "grafana": ["grafana"],
    }
    assert "--read-only" in SERVICES["webserver-read-only"]["command"]


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_a_service_is_looked_after(name):
    """It is restarted and has a health check, its logs end some day, and what it waits for exists."""
    one = SERVICES[name]
    if one.get("profiles") != ["commands"]:
        assert one["restart"] == "unless-stopped"
        assert one["healthcheck"]["test"][0] == "CMD"
    assert one["logging"]["options"].keys() == {"max-size", "max-file"}
    assert one.get("depends_on", {}).keys() <= SERVICES.keys()
    waits = {after["condition"] for after in one.get("depends_on", {}).values()}
    assert waits <= {"service_healthy"}
    named = {mount.rsplit(":", 2 if mount.endswith(":ro") else 1)[0] for mount in one["volumes"]}
    volumes = {mount for mount in named if re.fullmatch(r"[a-z_]+", mount)}
    assert volumes <= FILE["volumes"].keys()


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_a_service_has_as_few_rights_as_it_can_do_with(name):
    """Ports are open to this machine only; our processes change neither their image nor their rights."""
    one = SERVICES[name]
    assert all(port.startswith("127.0.0.1:") for port in one.get("ports", []))
    if one.get("build"):
        assert (one["read_only"], one["cap_drop"]) == (True, ["ALL"])
        assert one["security_opt"] == ["no-new-privileges:true"]


def test_no_secret_is_in_the_files_or_in_the_environment():
    """Secrets are files that only `secrets.sh` makes, each named like the setting it is."""
    assert all(one["file"] == f"secrets/{name}" for name, one in FILE["secrets"].items())
    ours = {name.removeprefix("mlobs_") for name in FILE["secrets"] if name.startswith("mlobs_")}
    assert ours == secret_settings() - {"hmac_previous_key"}  # there while a key is being replaced only
    for name, one in SERVICES.items():
        assert set(one.get("secrets", [])) <= FILE["secrets"].keys(), name
        told = {key: str(value) for key, value in one["environment"].items() if SECRET.search(key)}
        assert not [key for key, value in told.items() if not value.startswith("/run/secrets/")], name
    example = dict(
        line.lstrip("#").split("=", 1)
        for line in (COMPOSE / ".env.example").read_text().splitlines()
        if "=" in line
    )
    assert not [key for key in example if SECRET.search(key)]


def test_settings_in_the_environment_are_settings():
    """Every MLOBS_ variable of our services, and of the example, is one that the product reads."""
    known = {f"MLOBS_{name.upper()}" for name in Settings.model_fields} | {"MLOBS_IMAGE"}
    example = re.findall(r"^#?(MLOBS_\w+)=", (COMPOSE / ".env.example").read_text(), re.MULTILINE)
    given = [key for one in SERVICES.values() if one.get("build") for key in one["environment"]]
    assert {key for key in [*example, *given] if key.startswith("MLOBS_")} <= known


def test_secrets_are_made_once(tmp_path):
    """The script makes every secret that the file names, for their owner only, and keeps what is there."""
    script = tmp_path / "secrets.sh"
    shutil.copy(COMPOSE / "secrets.sh", script)
    subprocess.run([script], check=True)
    made = {path.name: path.read_text() for path in (tmp_path / "secrets").iterdir()}
    assert made.keys() == FILE["secrets"].keys()
    assert stat.S_IMODE((tmp_path / "secrets").stat().st_mode) == 0o700
    assert len(made["mlobs_hmac_key"]) == 64
    assert made["postgres_password"] in made["mlobs_postgres_url"]
    (tmp_path / "secrets" / "mlobs_hmac_key").write_text("kept")
    subprocess.run([script], check=True)
    again = {path.name: path.read_text() for path in (tmp_path / "secrets").iterdir()}
    assert again == made | {"mlobs_hmac_key": "kept"}
