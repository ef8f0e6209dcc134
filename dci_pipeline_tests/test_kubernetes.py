"""What deploy/kubernetes/ says, done without a cluster: its manifests, and a month whose pods are processes here.

The cluster's interface for jobs is served on loopback; each job it is sent is kept, and its container's command is run
as a process with the environment that the manifest, the config map and the secret give it. Only paths and the address
of the interface are put in place of those of a cluster.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, NamedTuple

import pytest
import yaml

from dci_pipeline import refresh
from dci_pipeline.periods import parse_span
from dci_pipeline.settings import Settings
from dci_pipeline.work import Work
from dci_pipeline_tests import commands
from dci_pipeline_tests.conftest import PROJECT, Deliveries, land

pytest.importorskip("dagster_k8s", reason="dagster-k8s is not installed (the k8s extra has it)")
pytestmark = [pytest.mark.slow]

DEPLOY = PROJECT / "deploy" / "kubernetes"
MONTHS = parse_span("2018-01:2018-03", "month")
MONTH, FEED, PARTNERS = MONTHS[-1], "cloud_usage", ("cloud_a", "cloud_b")
SECRETS = {"DCI_POSTGRES_PASSWORD": "pg-secret-word", "AWS_SECRET_ACCESS_KEY": "s3-secret-word"}
MADE_BY_HAND = {"dci-instance", "dci-secrets"}
PATIENCE = 180.0


def documents() -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((DEPLOY / "services.yaml").read_text(encoding="utf-8")))


def settings() -> dict[str, str]:
    (found,) = (item["data"] for item in documents() if item["kind"] == "ConfigMap")
    return found


class Answer(NamedTuple):
    data: str


def as_model(manifest: dict[str, Any], model: str) -> object:
    """The manifest as the cluster's own model; whatever the model does not know would be missing from it."""
    from kubernetes.client import ApiClient

    return ApiClient().deserialize(Answer(json.dumps(manifest)), model)


def assert_known(manifest: dict[str, Any], model: str) -> None:
    from kubernetes.client import ApiClient

    assert ApiClient().sanitize_for_serialization(as_model(manifest, model)) == manifest


@dataclass
class Cluster:
    """Jobs by name, in the order they came, each with the process of its container."""

    environments: dict[str, dict[str, str]]
    log: Path
    jobs: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict[str, "subprocess.Popen[bytes]"])
    refused: list[str] = field(default_factory=list[str])

    def create(self, job: dict[str, Any]) -> None:
        name = job["metadata"]["name"]
        (container,) = job["spec"]["template"]["spec"]["containers"]
        # `dagster` is on the path of the image, and the project is where it starts.
        search = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        environment = {"PATH": search, "HOME": os.environ["HOME"], "PYTHONPATH": str(PROJECT)}
        for source in container["envFrom"]:
            (reference,) = source.values()
            environment |= self.environments[reference["name"]]
        environment |= {item["name"]: item["value"] for item in container["env"]}
        with (self.log / f"{name}.log").open("wb") as out:
            self.processes[name] = subprocess.Popen(
                container["args"], cwd=PROJECT, env=environment, stdout=out, stderr=subprocess.STDOUT
            )
        self.jobs[name] = job

    def status(self, name: str) -> dict[str, int]:
        code = self.processes[name].poll()
        return {"active": 1} if code is None else {"failed": 1} if code else {"succeeded": 1}


def handler_of(cluster: Cluster) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            job = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if self.path != "/apis/batch/v1/namespaces/dci/jobs":
                cluster.refused.append(f"POST {self.path}")
                return self.answer(404, {"kind": "Status", "code": 404})
            cluster.create(job)
            return self.answer(201, job)

        def do_GET(self) -> None:
            name = self.path.removeprefix("/apis/batch/v1/namespaces/dci/jobs/").removesuffix("/status")
            if name not in cluster.jobs:
                cluster.refused.append(f"GET {self.path}")
                return self.answer(404, {"kind": "Status", "code": 404})
            return self.answer(200, {**cluster.jobs[name], "status": cluster.status(name)})

        def answer(self, code: int, said: dict[str, Any]) -> None:
            content = json.dumps(said).encode()
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:
            pass

    return Handler


@dataclass(frozen=True)
class Ran:
    """A month run on the cluster: its warehouse, what it was before, the jobs it took, what was left in the record."""

    work: Work
    expected: dict[str, bytes]
    jobs: list[dict[str, Any]]
    status: str
    refused: list[str]
    home: Path


def tables(work: Work) -> dict[str, bytes]:
    home = work.warehouse.layout.home
    return {
        path.relative_to(home).as_posix(): path.read_bytes()
        for path in sorted(home.rglob("*"))
        if path.is_file() and path.relative_to(home).parts[0] not in ("feeds", ".work", "catalogue.json")
    }


@pytest.fixture(scope="module")
def ran(narrow: Deliveries, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ran]:
    import dagster as dg

    folder = tmp_path_factory.mktemp("cluster")
    contracts, sent = narrow
    work = Work(Settings(folder / "warehouse", contracts, "polars"), "dci")
    land(work, [item for item in sent if item.period in MONTHS])
    refresh.run_direct(work, MONTHS)
    expected = tables(work)
    for partner in PARTNERS:
        work.warehouse.remove("validation", f"{FEED}_verdict", MONTH, partner=partner)

    home = folder / "home"
    home.mkdir()
    shutil.copy(DEPLOY / "executor.yaml", home)
    placed = {
        **settings(),
        "DCI_EXECUTOR_CONFIG": str(home / "executor.yaml"),
        "DCI_WAREHOUSE": str(work.settings.warehouse),
        "DCI_WAREHOUSE_SHARED": "on",
        "DCI_CONTRACTS": str(contracts),
    }
    cluster = Cluster({"dci-settings": placed, "dci-secrets": SECRETS}, folder)
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler_of(cluster))
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        address = {"cluster": {"server": f"http://127.0.0.1:{server.server_port}"}, "name": "here"}
        context = {"context": {"cluster": "here", "user": "me"}, "name": "here"}
        config = {
            "clusters": [address],
            "contexts": [context],
            "current-context": "here",
            "users": [{"name": "me", "user": {}}],
        }
        (home / "kubeconfig").write_text(yaml.safe_dump(config), encoding="utf-8")
        instance = yaml.safe_load((DEPLOY / "dagster.yaml").read_text(encoding="utf-8"))
        # The record lies in a folder and takes no queue: PostgreSQL and the daemon have a test of their own.
        del instance["storage"], instance["concurrency"]
        instance["run_coordinator"] = {"module": "dagster._core.run_coordinator", "class": "DefaultRunCoordinator"}
        instance["run_launcher"]["config"] |= {
            "load_incluster_config": False,
            "kubeconfig_file": str(home / "kubeconfig"),
            "dagster_home": str(home),
        }
        (home / "dagster.yaml").write_text(yaml.safe_dump(instance), encoding="utf-8")
        environment = {**os.environ, **placed, **SECRETS, "DAGSTER_HOME": str(home)}
        launch = [sys.executable, "-m", "dagster", "job", "launch", "-m", "dci_pipeline.definitions"]
        launch += ["-d", str(PROJECT), "-j", "dci_periods", "--tags", json.dumps({"dagster/partition": MONTH.key})]
        done = subprocess.run(launch, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline and any(process.poll() is None for process in cluster.processes.values()):
            time.sleep(0.3)
        os.environ["DCI_IMAGE"] = placed["DCI_IMAGE"]
        with dg.DagsterInstance.from_config(str(home)) as opened:
            (run,) = opened.get_runs()
        yield Ran(work, expected, list(cluster.jobs.values()), run.status.value, cluster.refused, folder)
    finally:
        os.environ.pop("DCI_IMAGE", None)
        for process in cluster.processes.values():
            process.kill()
            process.wait()
        server.shutdown()
        server.server_close()


def said(ran: Ran) -> str:
    return "\n".join(path.read_text(errors="replace")[-2000:] for path in sorted(ran.home.glob("*.log")))


def test_a_month_is_run_as_one_job_and_one_for_each_slice_that_is_missing(ran: Ran) -> None:
    assert ran.status == "SUCCESS", said(ran)
    assert ran.refused == []
    components = [job["metadata"]["labels"]["app.kubernetes.io/component"] for job in ran.jobs]
    assert components == ["run_worker", "step_worker", "step_worker"]
    slices = {job["metadata"]["labels"]["dagster/op"] for job in ran.jobs[1:]}
    assert slices == {f"dci__validation__{FEED}.slice-{MONTH.key.replace('-', '_')}_{partner}" for partner in PARTNERS}
    assert tables(ran.work) == ran.expected


def test_the_manifests_say_what_the_deployment_says(ran: Ran) -> None:
    launcher = yaml.safe_load((DEPLOY / "dagster.yaml").read_text(encoding="utf-8"))["run_launcher"]["config"]
    step = yaml.safe_load((DEPLOY / "executor.yaml").read_text(encoding="utf-8"))["step_k8s_config"]
    for job in ran.jobs:
        assert_known(job, "V1Job")
        assert job["metadata"]["labels"]["app.kubernetes.io/part-of"] == "dci"
        assert (job["spec"]["backoffLimit"], job["spec"]["ttlSecondsAfterFinished"]) == (0, 86400)
        spec = job["spec"]["template"]["spec"]
        assert (spec["restartPolicy"], spec["serviceAccountName"]) == ("Never", "dci")
        assert spec["securityContext"] == {"fsGroup": 10001}
        assert {volume["name"] for volume in spec["volumes"]} == {"scratch", "instance"}
        (container,) = spec["containers"]
        assert container["image"] == settings()["DCI_IMAGE"]
        assert container["envFrom"] == [
            {"configMapRef": {"name": "dci-settings"}},
            {"secretRef": {"name": "dci-secrets"}},
        ]
        assert container["securityContext"]["runAsNonRoot"] is True
        is_slice = job["metadata"]["labels"]["app.kubernetes.io/component"] == "step_worker"
        assert container["resources"] == (step["container_config"] if is_slice else launcher)["resources"]
        assert container["args"][:3] == ["dagster", "api", "execute_step" if is_slice else "execute_run"]
        given = {item["name"]: item.get("value") for item in container["env"]}
        assert given.get("DCI_ENGINE_MEMORY") == ("1000" if is_slice else None)


def test_no_manifest_holds_a_secret(ran: Ran) -> None:
    for job in ran.jobs:
        (container,) = job["spec"]["template"]["spec"]["containers"]
        packed = [item["value"] for item in container["env"] if item["name"].startswith("DAGSTER_COMPRESSED")]
        text = json.dumps(job) + "".join(zlib.decompress(base64.b64decode(item)).decode() for item in packed)
        assert not [name for name, value in SECRETS.items() if value in text]


def test_what_stands_all_the_time_is_known_to_the_cluster_and_whole() -> None:
    models = {"ConfigMap": "V1ConfigMap", "ServiceAccount": "V1ServiceAccount", "Role": "V1Role",
              "RoleBinding": "V1RoleBinding", "Service": "V1Service", "Deployment": "V1Deployment"}  # fmt: skip
    there = {(item["kind"], item["metadata"]["name"]) for item in documents()}
    launcher = yaml.safe_load((DEPLOY / "dagster.yaml").read_text(encoding="utf-8"))["run_launcher"]["config"]
    for item in documents():
        assert_known(item, models[item["kind"]])
        assert item["metadata"]["namespace"] == launcher["job_namespace"]
    names = {name for _, name in there} | MADE_BY_HAND
    assert {launcher["service_account_name"], *launcher["env_config_maps"], *launcher["env_secrets"]} <= names
    for item in documents():
        if item["kind"] == "Deployment":
            (container,) = item["spec"]["template"]["spec"]["containers"]
            assert container["envFrom"] == [
                {"configMapRef": {"name": "dci-settings"}},
                {"secretRef": {"name": "dci-secrets"}},
            ]
            assert container["image"] == settings()["DCI_IMAGE"]
    assert not {name for name in settings() if "PASSWORD" in name or "SECRET" in name or "TOKEN" in name}


def test_a_run_outside_the_cluster_is_refused(ran: Ran) -> None:
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("DCI_")},
        "DCI_WAREHOUSE": str(ran.work.settings.warehouse),
        "DCI_WAREHOUSE_SHARED": "on",
        "DCI_CONTRACTS": str(ran.work.settings.contracts),
        "DCI_EXECUTOR": "k8s",
    }
    ran.work.warehouse.remove("validation", f"{FEED}_verdict", MONTH, partner=PARTNERS[0])
    code, said = commands.run("run", "--index", "dci", environment=environment)
    assert code == 2, said
    assert "this run is not one of the cluster's" in said
