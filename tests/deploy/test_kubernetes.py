"""The Kubernetes files: manifests the API would accept, values and instance that Dagster would accept."""

import shutil
import subprocess
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

from mlobs_pipelines.settings import Settings
from tests.deploy.test_compose import secret_settings

ROOT = Path(__file__).parents[2]
KUBERNETES = ROOT / "deploy" / "kubernetes"
BASE = KUBERNETES / "base"
VERSIONS = ("1.31", "1.37")
VALUES = yaml.safe_load((KUBERNETES / "values.yaml").read_text(encoding="utf-8"))
(DEPLOYMENT,) = VALUES["dagster-user-deployments"]["deployments"]


def _documents():
    listed = yaml.safe_load((BASE / "kustomization.yaml").read_text(encoding="utf-8"))["resources"]
    for path in [*(BASE / name for name in listed), KUBERNETES / "secrets.example.yaml"]:
        yield from yaml.safe_load_all(path.read_text(encoding="utf-8"))


DOCUMENTS = list(_documents())


@pytest.mark.parametrize("version", VERSIONS)
def test_the_api_accepts_every_manifest(version):
    """Each document keeps the schema of its kind, unknown fields refused, in an old and a new Kubernetes."""
    for document in DOCUMENTS:
        kubernetes_validate.validate(document, version, strict=True)


def test_kustomize_builds_the_base():
    """The base builds to valid manifests in one namespace, with one image, the instance among them."""
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("no kubectl here")
    done = subprocess.run([kubectl, "kustomize", BASE], check=True, capture_output=True, text=True)
    built = list(yaml.safe_load_all(done.stdout))
    for document in built:
        kubernetes_validate.validate(document, VERSIONS[-1], strict=True)
    assert {one["metadata"].get("namespace", "mlobs") for one in built} == {"mlobs"}
    (made,) = [one for one in built if one["kind"] == "ConfigMap" and "dagster.yaml" in one["data"]]
    launcher = yaml.safe_load(made["data"]["dagster.yaml"])["run_launcher"]["config"]
    names = {one["metadata"]["name"] for one in built}
    assert launcher["instance_config_map"] == made["metadata"]["name"]
    assert {
        *launcher["env_config_maps"],
        launcher["volumes"][0]["persistentVolumeClaim"]["claimName"],
    } <= names
    images = {container["image"] for one in built for container in _containers(one)}
    tag = "{repository}:{tag}".format(**DEPLOYMENT["image"])
    assert images == {tag}


def _containers(document):
    if document["kind"] != "CronJob":
        return []
    return document["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]


def test_jobs_run_commands_that_exist():
    """The command of each CronJob is one of the product's, with options it has."""
    import typer  # noqa: PLC0415 - only where the command line is looked at

    from mlobs_pipelines.cli import app  # noqa: PLC0415 - as above

    commands = typer.main.get_command(app).commands
    for container in (one for document in DOCUMENTS for one in _containers(document)):
        mlobs, name, *arguments = container["args"]
        assert mlobs == "mlobs"
        commands[name].make_context(name, arguments, resilient_parsing=False)


def test_secrets_are_referred_to_and_never_said():
    """Settings that are secret come from the secret; the form of it is empty, and the settings have none."""
    by_name = {one["metadata"]["name"]: one for one in DOCUMENTS}
    form = by_name["mlobs-secrets"]["stringData"]
    known = {f"MLOBS_{name.upper()}" for name in Settings.model_fields}
    assert form.keys() == {f"MLOBS_{name.upper()}" for name in secret_settings() - {"hmac_previous_key"}}
    assert set(form.values()) <= {"", "{}"}
    open_ones = by_name["mlobs-settings"]["data"].keys()
    assert {name for name in open_ones if name.startswith("MLOBS_")} <= known - form.keys()
    references = {"envConfigMaps": [{"name": "mlobs-settings"}], "envSecrets": [{"name": "mlobs-secrets"}]}
    launcher = VALUES["runLauncher"]["config"]["k8sRunLauncher"]
    for place in (DEPLOYMENT, launcher):
        assert {name: place[name] for name in references} == references
    assert VALUES["global"]["postgresqlSecretName"] in by_name
    assert not VALUES["generatePostgresqlPasswordSecret"]
    assert "postgresqlPassword" not in VALUES["postgresql"]


def test_the_api_would_accept_what_the_values_put_into_pods():
    """Resources, probes, rights, volumes and sources of the environment fit a pod's schema."""
    for part in (DEPLOYMENT, VALUES["dagsterWebserver"], VALUES["dagsterDaemon"]):
        kubernetes_validate.validate(_pod(part), VERSIONS[-1], strict=True)
        assert part["podSecurityContext"]["runAsNonRoot"]
        assert part["resources"].keys() == {"requests", "limits"}


def _pod(part):
    kinds = ("startupProbe", "livenessProbe", "readinessProbe")
    probes = {name: dict(part[name]) for name in kinds if name in part}
    for probe in probes.values():
        probe.pop("enabled", None)
    sources = [{"configMapRef": one} for one in part.get("envConfigMaps", [])]
    container = {
        "name": "one",
        "image": "{repository}:{tag}".format(**part["image"]),
        "imagePullPolicy": part["image"]["pullPolicy"],
        "envFrom": [*sources, *({"secretRef": one} for one in part.get("envSecrets", []))],
        "volumeMounts": part.get("volumeMounts", []),
        "resources": part["resources"],
        "securityContext": part["securityContext"],
        **probes,
    }
    spec = {
        "containers": [container],
        "volumes": part.get("volumes", []),
        "securityContext": part["podSecurityContext"],
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "one"}, "spec": spec}


# What the chart's schema (dagster/dagster 1.13) has in the places that the values use.
CHART = {
    "": {
        *("global", "generatePostgresqlPasswordSecret", "postgresql", "dagster-user-deployments"),
        *(
            "dagsterWebserver",
            "dagsterDaemon",
            "concurrency",
            "runLauncher",
            "retention",
            "computeLogManager",
        ),
        *("telemetry", "rabbitmq", "redis", "flower", "pythonLogs", "ingress", "imagePullSecrets"),
        *("serviceAccount", "scheduler", "migrate", "busybox", "additionalInstanceConfig"),
    },
    "postgresql": {
        *("image", "enabled", "postgresqlHost", "postgresqlUsername", "postgresqlPassword"),
        *("postgresqlDatabase", "postgresqlParams", "postgresqlScheme", "service"),
    },
    "dagsterWebserver": {
        *("replicaCount", "image", "enableReadOnly", "resources", "podSecurityContext", "securityContext"),
        *("service", "workspace", "env", "envConfigMaps", "envSecrets", "volumes", "volumeMounts"),
        *("readinessProbe", "livenessProbe", "startupProbe"),
    },
    "dagsterDaemon": {
        *("readinessProbe", "livenessProbe", "startupProbe"),
        *("enabled", "image", "resources", "podSecurityContext", "securityContext", "runCoordinator"),
        *("runMonitoring", "runRetries", "sensors", "schedules", "env", "envConfigMaps", "envSecrets"),
    },
    "retention": {"enabled", "sensor", "schedule"},
    "concurrency": {"enabled", "runs", "pools"},
}


def test_the_values_are_keys_of_the_chart():
    """No key is one that the chart would pass over in silence."""
    for path, known in CHART.items():
        assert (VALUES[path] if path else VALUES).keys() <= known, path
    assert DEPLOYMENT.keys() <= {
        *("name", "image", "port", "codeServerArgs", "dagsterApiGrpcArgs", "includeConfigInLaunchedRuns"),
        *("env", "envConfigMaps", "envSecrets", "volumes", "volumeMounts", "resources", "annotations"),
        *("podSecurityContext", "securityContext", "livenessProbe", "readinessProbe", "startupProbe"),
    }


def test_dagster_accepts_code_server_and_launcher_of_the_values():
    """The code server has the arguments, and the run launcher the options, under Dagster's own names."""
    from dagster._cli.api import grpc_command  # noqa: PLC0415 - Dagster takes seconds
    from dagster._config import process_config  # noqa: PLC0415 - as above
    from dagster_k8s import K8sRunLauncher  # noqa: PLC0415 - as above

    asked = [*DEPLOYMENT["dagsterApiGrpcArgs"], "--port", str(DEPLOYMENT["port"])]
    grpc_command.make_context("grpc", asked)
    launcher = VALUES["runLauncher"]["config"]["k8sRunLauncher"]
    given = {
        "instance_config_map": "x",
        "service_account_name": "x",
        "image_pull_policy": launcher["imagePullPolicy"],
        "load_incluster_config": launcher["loadInclusterConfig"],
        "env_config_maps": [one["name"] for one in launcher["envConfigMaps"]],
        "env_secrets": [one["name"] for one in launcher["envSecrets"]],
        "labels": launcher["labels"],
        "fail_pod_on_run_failure": launcher["failPodOnRunFailure"],
        "security_context": launcher["securityContext"],
        "run_k8s_config": {"pod_spec_config": launcher["runK8sConfig"]["podSpecConfig"]},
    }
    assert process_config(K8sRunLauncher.config_type(), given).success


def test_the_webserver_logs_json(monkeypatch):
    """The variable that the values set is the one that its command line reads."""
    from dagster_webserver.cli import create_dagster_webserver_cli  # noqa: PLC0415 - as above

    for one in VALUES["dagsterWebserver"]["env"]:
        monkeypatch.setenv(one["name"], one["value"])
    read = create_dagster_webserver_cli().make_context("x", [], auto_envvar_prefix="DAGSTER_WEBSERVER")
    assert read.params["log_format"] == "json"


def test_runs_have_as_few_rights_as_the_code_server():
    """The chart passes image, environment and volumes of the code server on to runs, but not its rights."""
    values = VALUES["runLauncher"]["config"]["k8sRunLauncher"]
    base = yaml.safe_load((BASE / "dagster.yaml").read_text(encoding="utf-8"))["run_launcher"]["config"]
    pods = (values["runK8sConfig"]["podSpecConfig"], base["run_k8s_config"]["pod_spec_config"])
    assert [one["securityContext"] for one in pods] == [DEPLOYMENT["podSecurityContext"]] * 2
    containers = (values["securityContext"], base["security_context"])
    assert list(containers) == [DEPLOYMENT["securityContext"]] * 2


def test_runs_wait_in_the_queue():
    """Where it is switched off, the chart starts runs at once: `concurrency` would hold nothing back."""
    coordinator = VALUES["dagsterDaemon"]["runCoordinator"]
    assert (coordinator["enabled"], coordinator["type"]) == (True, "QueuedRunCoordinator")
    assert "config" not in coordinator  # the chart refuses limits in both places


def test_the_ui_is_on_a_port_that_its_user_may_listen_on():
    """Not below 1024, where all rights are dropped; probe and network policy name the same one."""
    webserver = VALUES["dagsterWebserver"]
    port = webserver["service"]["port"]
    assert port >= 1024
    assert webserver["readinessProbe"]["httpGet"] == {"path": "/server_info", "port": port}
    (policy,) = [one for one in DOCUMENTS if one["kind"] == "NetworkPolicy"]
    opened = [one["port"] for rule in policy["spec"]["ingress"] for one in rule.get("ports", [])]
    assert opened == [port]


def test_probes_leave_time_to_start_and_look_after_the_daemon():
    """Nothing is restarted in its first minutes; a daemon without heartbeats is."""
    start = DEPLOYMENT["startupProbe"]
    assert start["enabled"]
    assert start["periodSeconds"] * start["failureThreshold"] >= 120
    assert start["exec"] == DEPLOYMENT["livenessProbe"]["exec"] == DEPLOYMENT["readinessProbe"]["exec"]
    daemon = VALUES["dagsterDaemon"]["livenessProbe"]
    assert daemon["exec"]["command"] == ["dagster-daemon", "liveness-check"]
    assert daemon["initialDelaySeconds"] >= 60


def test_dagster_loads_the_instance_of_the_base(tmp_path, monkeypatch):
    """The file is an instance with the cluster's run launcher, and limits like those of the values."""
    import dagster as dg  # noqa: PLC0415 - Dagster takes seconds

    for name in ("MLOBS_POSTGRES_URL", "DAGSTER_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MLOBS_HOME", str(tmp_path))
    shutil.copy(BASE / "dagster.yaml", tmp_path)
    with dg.DagsterInstance.from_config(str(tmp_path)) as opened:
        reference = opened.get_ref()
        assert reference.run_launcher_data.class_name == "K8sRunLauncher"
        runs = opened.get_concurrency_config().run_queue_config
    limits = VALUES["concurrency"]["runs"]
    assert runs.max_concurrent_runs == limits["maxConcurrentRuns"]
    assert runs.tag_concurrency_limits == limits["tagConcurrencyLimits"]


def test_the_three_instances_agree():
    """What is no matter of where it runs is the same on a laptop, in the cluster's base and in the values."""
    here, there = (
        yaml.safe_load(path.read_text()) for path in (ROOT / "dagster.yaml", BASE / "dagster.yaml")
    )
    assert there["retention"] == here["retention"]
    assert there["storage"] == here["storage"]
    tags = "tag_concurrency_limits"
    assert there["concurrency"]["runs"][tags] == here["concurrency"]["runs"][tags]
    assert there["run_retries"] == here["run_retries"]
    for kind in ("schedule", "sensor"):
        assert VALUES["retention"][kind]["purgeAfterDays"] == here["retention"][kind]["purge_after_days"]
    assert VALUES["additionalInstanceConfig"] == {
        name: there[name] for name in ("run_monitoring", "run_retries")
    }
