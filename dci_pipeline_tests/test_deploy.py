"""What deploy/ says, done: a real PostgreSQL server under its dagster.yaml, its services, and its proxy in front.

Only paths and ports are put in place of those of a production machine; everything else is read from the files as it is.
"""

from __future__ import annotations

import base64
import json
import os
import re
import shlex
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml

from dci_pipeline.defs.launch import open_instance, run_in_process
from dci_pipeline.periods import parse_span
from dci_pipeline.settings import Settings
from dci_pipeline.work import Work
from dci_pipeline_tests.conftest import PROJECT, Deliveries, land
from dci_pipeline_tests.receivers import certificate_of, free_port

pytestmark = [pytest.mark.slow]

DEPLOY = PROJECT / "deploy"
UNITS = ("dci-code-server", "dci-daemon", "dci-webserver", "dci-webserver-guest")
MONTHS = parse_span("2018-01:2018-03", "month")
PASSWORD = "pg-secret-word"
PATIENCE = 120.0


def until(met: Callable[[], Any], what: str) -> Any:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        found = met()
        if found:
            return found
        time.sleep(0.3)
    raise AssertionError(f"waited in vain for {what}")


@contextmanager
def running(
    command: list[str], log: Path, *, end: signal.Signals = signal.SIGTERM, **options: Any
) -> Iterator[subprocess.Popen[bytes]]:
    """A process in a group of its own, ended with everything it has started."""
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, start_new_session=True, **options)
        try:
            yield process
        finally:
            # A code server would let its runs end; none is left, so what does not go is killed.
            process.send_signal(end)
            with suppress(subprocess.TimeoutExpired):
                process.wait(timeout=5)
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(timeout=20)


@pytest.fixture(scope="module")
def postgres() -> Iterator[dict[str, str]]:
    """A PostgreSQL server of this test's own on loopback, and the environment that deploy/dagster.yaml asks for."""
    pytest.importorskip("dagster_postgres", reason="dagster-postgres is not installed (the postgres extra has it)")
    folders = [*sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)]
    initdb = next((str(f / "initdb") for f in folders if (f / "initdb").is_file()), None) or shutil.which("initdb")
    if initdb is None:
        pytest.skip("no PostgreSQL server is installed (Debian's package postgresql has it)")
    server = str(Path(initdb).resolve().with_name("postgres"))
    # The server refuses to run as root; the package comes with a user for it.
    who: dict[str, Any] = {}
    if os.geteuid() == 0:
        who = {"user": "postgres" if _is_user("postgres") else "nobody", "extra_groups": []}
    home = Path(tempfile.mkdtemp(prefix="dci-postgres-"))
    try:
        (home / "password").write_text(PASSWORD, encoding="ascii")
        if who:
            for path in (home, home / "password"):
                shutil.chown(path, user=who["user"])
        login = ("-U", "dagster", "-A", "scram-sha-256", "--pwfile", str(home / "password"))
        subprocess.run(
            [initdb, "-D", str(home / "data"), *login, "--no-sync", "-E", "UTF8", "--locale", "C"],
            check=True,
            capture_output=True,
            cwd=home,
            **who,
        )
        port = free_port()
        command = [server, "-D", str(home / "data"), "-p", str(port), "-k", str(home), "-c", "fsync=off"]
        command += ["-c", "listen_addresses=127.0.0.1"]
        # Asked with SIGTERM it would wait until nobody is connected any more.
        with running(command, home.with_suffix(".log"), end=signal.SIGINT, cwd=home, **who):
            until(lambda: _answers(port), "PostgreSQL")
            yield {
                "DCI_POSTGRES_HOST": "127.0.0.1",
                "DCI_POSTGRES_PORT": str(port),
                "DCI_POSTGRES_DB": "postgres",
                "DCI_POSTGRES_USER": "dagster",
                "DCI_POSTGRES_PASSWORD": PASSWORD,
            }
    finally:
        shutil.rmtree(home, ignore_errors=True)
        home.with_suffix(".log").unlink(missing_ok=True)


def _is_user(name: str) -> bool:
    import pwd

    return any(entry.pw_name == name for entry in pwd.getpwall())


def _answers(port: int) -> bool:
    import psycopg2

    try:
        psycopg2.connect(host="127.0.0.1", port=port, user="dagster", password=PASSWORD, dbname="postgres").close()
    except psycopg2.OperationalError:
        return False
    return True


@dataclass
class Production:
    """A warehouse whose engine keeps its record in PostgreSQL, and the environment of every process of it."""

    work: Work
    environment: dict[str, str]


@pytest.fixture(scope="module")
def production(
    postgres: dict[str, str], narrow: Deliveries, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Production]:
    contracts, files = narrow
    settings = Settings(tmp_path_factory.mktemp("production") / "warehouse", contracts, "polars")
    settings.dagster_home.mkdir(parents=True)
    shutil.copy(DEPLOY / "dagster.yaml", settings.dagster_home / "dagster.yaml")
    environment = postgres | {
        "DCI_WAREHOUSE": str(settings.warehouse),
        "DCI_CONTRACTS": str(contracts),
        "DAGSTER_HOME": str(settings.dagster_home),
        "DCI_CODE_SERVER_PORT": str(free_port()),
        "PYTHONPATH": str(PROJECT),
        "NO_PROXY": "127.0.0.1",
        "no_proxy": "127.0.0.1",
    }
    work = Work(settings, "dci")
    land(work, [item for item in files if item.period in MONTHS])
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        yield Production(work, environment)


def asset(name: str) -> dg.AssetKey:
    return dg.AssetKey(["dci", *name.split("/")])


def test_a_refresh_is_recorded_in_postgresql(production: Production) -> None:
    report = run_in_process(production.work, MONTHS)
    assert report.held == {}
    with open_instance(production.work) as instance:
        assert type(instance._run_storage).__name__ == type(instance.event_log_storage).__name__.replace(
            "EventLog", "Run"
        )
        assert "Postgres" in type(instance.event_log_storage).__name__
        assert {run.job_name: run.status.value for run in instance.get_runs()} == {
            "dci_periods": "SUCCESS",
            "dci_years": "SUCCESS",
            "dci_catalogue": "SUCCESS",
        }
        assert sorted(instance.get_materialized_partitions(asset("marts/index_month"))) == [str(m) for m in MONTHS]
        record = instance.fetch_materializations(asset("marts/index_month"), limit=1).records[0]
        rows = production.work.warehouse.read("marts", "index_month", MONTHS[-1]).height
        assert record.asset_materialization is not None
        assert record.asset_materialization.metadata["dagster/row_count"].value == rows
        assert not instance.telemetry_enabled
    assert not list(production.work.settings.dagster_home.rglob("*.db")), "something was kept beside PostgreSQL"


def test_two_processes_use_it_at_once(production: Production) -> None:
    script = (
        "import sys\n"
        "from dci_pipeline.defs.launch import run_in_process\n"
        "from dci_pipeline.periods import parse\n"
        "from dci_pipeline.settings import read_settings\n"
        "from dci_pipeline.work import Work\n"
        "run_in_process(Work(read_settings(), 'dci'), [parse(sys.argv[1], 'month')])\n"
    )
    with open_instance(production.work) as instance:
        before = instance.get_runs_count()
    environment = os.environ | production.environment
    processes = [
        subprocess.Popen([sys.executable, "-c", script, str(month)], cwd=PROJECT, env=environment)
        for month in MONTHS[:2]
    ]
    assert [process.wait(timeout=PATIENCE * 2) for process in processes] == [0, 0]
    with open_instance(production.work) as instance:
        runs = instance.get_run_records(limit=instance.get_runs_count() - before)
    assert len(runs) == 6 and {run.dagster_run.status.value for run in runs} == {"SUCCESS"}
    spans = [
        (float(run.start_time or 0), float(run.end_time or 0))
        for run in runs
        if run.dagster_run.job_name == "dci_periods"
    ]
    assert len(spans) == 2 and max(start for start, _ in spans) < min(end for _, end in spans), "not at once"


def test_no_secret_is_written_beside_the_server(production: Production) -> None:
    written = [path for path in production.work.settings.warehouse.rglob("*") if path.is_file()]
    assert not [path for path in written if PASSWORD.encode() in path.read_bytes()]


def command_of(unit: str, ports: dict[str, int]) -> list[str]:
    """What a unit starts, here: this checkout's tools in place of those in /opt/dci, free ports for its own."""
    (line,) = re.findall(r"^ExecStart=(.+)$", (DEPLOY / "systemd" / f"{unit}.service").read_text("utf-8"), re.MULTILINE)
    tool, *rest = shlex.split(line)
    assert Path(tool).parent == Path("/opt/dci/.venv/bin")
    swapped = {
        "3000": str(ports["engineers"]),
        "3001": str(ports["guests"]),
        "${DCI_CODE_SERVER_PORT}": str(ports["code"]),
    }
    return [
        str(Path(sys.executable).with_name(Path(tool).name)),
        *(swapped.get(part, part.replace("/opt/dci", str(PROJECT))) for part in rest),
    ]


@dataclass
class Door:
    """The proxy: one port for engineers, one for guests."""

    engineers: int
    guests: int
    authority: Path

    def ask(self, port: int, query: str, login: str | None, **variables: object) -> dict[str, Any]:
        """The answer to a query of the UI's own interface; the status stands in it where it is no success."""
        headers = {"Content-Type": "application/json"}
        if login:
            headers["Authorization"] = "Basic " + base64.b64encode(login.encode()).decode()
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(f"https://127.0.0.1:{port}/graphql", data=body, headers=headers)
        try:
            with urllib.request.urlopen(
                request, timeout=30, context=ssl.create_default_context(cafile=str(self.authority))
            ) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            return {"status": error.code}
        except OSError as error:
            return {"status": str(error)}


@pytest.fixture(scope="module")
def door(production: Production, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """The four services and the proxy, started as deploy/ says."""
    pytest.importorskip("dagster_webserver", reason="dagster-webserver is not installed (the ui extra has it)")
    nginx = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if nginx is None:
        pytest.skip("no nginx is installed (Debian's package nginx-light has it)")
    folder = tmp_path_factory.mktemp("services")
    certificate, _ = certificate_of(folder)
    ports = {
        "engineers": free_port(),
        "guests": free_port(),
        "code": int(production.environment["DCI_CODE_SERVER_PORT"]),
    }
    made = Door(free_port(), free_port(), certificate)
    configuration = _proxy(folder, ports, made)
    subprocess.run([nginx, "-t", "-c", str(configuration)], check=True, capture_output=True)
    environment = os.environ | production.environment
    with ExitStack() as stack:
        for unit in UNITS:
            command = command_of(unit, ports)
            stack.enter_context(running(command, folder / f"{unit}.log", cwd=PROJECT, env=environment))
        stack.enter_context(running([nginx, "-c", str(configuration)], folder / "nginx.log"))
        try:
            until(lambda: _nodes(made, made.engineers, "engineer:one"), "the engineers' pages")
            until(lambda: _nodes(made, made.guests, "guest:two"), "the guests' pages")
            yield made
        except AssertionError:
            for log in folder.glob("*.log"):
                print(log.name, log.read_text("utf-8", errors="replace")[-3000:], sep="\n")
            raise


def _nodes(door: Door, port: int, login: str) -> object:
    query = "{ repositoriesOrError { ... on RepositoryConnection { nodes { name } } } }"
    return door.ask(port, query, login).get("data", {}).get("repositoriesOrError", {}).get("nodes")


def _proxy(folder: Path, ports: dict[str, int], door: Door) -> Path:
    """deploy/nginx.conf with the ports and paths of here, in the frame that Debian's nginx.conf is."""
    text = (DEPLOY / "nginx.conf").read_text("utf-8")
    for there, here in {
        "listen 443 ssl": f"listen 127.0.0.1:{door.engineers} ssl",
        "listen 8443 ssl": f"listen 127.0.0.1:{door.guests} ssl",
        "127.0.0.1:3000": f"127.0.0.1:{ports['engineers']}",
        "127.0.0.1:3001": f"127.0.0.1:{ports['guests']}",
        "/etc/dci/tls": str(folder),
        "/etc/dci/": f"{folder}/",
    }.items():
        assert there in text, there
        text = text.replace(there, here)
    for name, login in (("engineers", "engineer:{PLAIN}one"), ("guests", "guest:{PLAIN}two")):
        (folder / name).write_text(login + "\n", encoding="ascii")
    temporary = "".join(
        f"{kind}_temp_path {folder}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    user = "user root;\n" if os.geteuid() == 0 else ""
    frame = f"{user}daemon off;\npid {folder}/nginx.pid;\nerror_log {folder}/error.log;\nevents {{}}\n"
    path = folder / "nginx.conf"
    path.write_text(f"{frame}http {{\naccess_log off;\n{temporary}{text}\n}}\n", encoding="utf-8")
    return path


LAUNCH = """
mutation($job: String!, $month: String!) {
  launchRun(executionParams: {
    selector: {
      repositoryLocationName: "dci_pipeline.definitions", repositoryName: "__repository__", pipelineName: $job
    },
    runConfigData: {},
    executionMetadata: {tags: [{key: "dagster/partition", value: $month}]}
  }) { __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } }
}
"""
STATUS = "query($id: ID!) { runOrError(runId: $id) { ... on Run { status } } }"


def test_nobody_gets_in_without_a_login_nor_with_the_other_s(door: Door) -> None:
    for port, login in ((door.engineers, None), (door.guests, None), (door.engineers, "guest:two")):
        assert door.ask(port, "{ version }", login) == {"status": 401}


def test_a_guest_sees_and_starts_nothing(door: Door) -> None:
    assert "version" in door.ask(door.guests, "{ version }", "guest:two")["data"]
    answer = door.ask(door.guests, LAUNCH, "guest:two", job="dci_periods", month="2018-03")
    assert answer["data"]["launchRun"]["__typename"] == "UnauthorizedError"


def test_an_engineer_starts_a_month_and_the_queue_the_daemon_and_the_code_server_carry_it_out(
    door: Door, production: Production
) -> None:
    answer = door.ask(door.engineers, LAUNCH, "engineer:one", job="dci_periods", month="2018-03")
    assert answer["data"]["launchRun"]["__typename"] == "LaunchRunSuccess", answer
    run_id = answer["data"]["launchRun"]["run"]["runId"]

    def ended() -> str | None:
        status = door.ask(door.engineers, STATUS, "engineer:one", id=run_id)["data"]["runOrError"]["status"]
        return status if status in ("SUCCESS", "FAILURE", "CANCELED") else None

    assert until(ended, "the run") == "SUCCESS"
    with open_instance(production.work) as instance:
        events = {entry.dagster_event.event_type for entry in instance.all_logs(run_id) if entry.dagster_event}
        assert dg.DagsterEventType.RUN_ENQUEUED in events, "the run did not go through the queue"


def test_the_services_listen_on_loopback_only() -> None:
    ports = {"engineers": 1, "guests": 2, "code": 3}
    for unit in UNITS:
        command = command_of(unit, ports)
        assert unit == "dci-daemon" or command[command.index("-h") + 1] == "127.0.0.1"
        assert ("--read-only" in command) == (unit == "dci-webserver-guest")


def test_systemd_reads_the_units(tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("no systemd-analyze on the PATH")
    for unit in UNITS:
        text = (DEPLOY / "systemd" / f"{unit}.service").read_text("utf-8")
        (tmp_path / f"{unit}.service").write_text(
            text.replace("/opt/dci/.venv/bin/", f"{Path(sys.executable).parent}/")
        )
    command = [analyze, "verify", *map(str, tmp_path.glob("*.service"))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert [line for line in done.stderr.splitlines() if "dci-" in line] == []


def test_no_secret_stands_in_the_files_and_every_variable_is_explained() -> None:
    explained = set(re.findall(r"^#?([A-Z_]+)=", (DEPLOY / "environment.example").read_text("utf-8"), re.MULTILINE))
    used = set(re.findall(r"env: ([A-Z_]+)", (DEPLOY / "dagster.yaml").read_text("utf-8")))
    used |= set(re.findall(r"env: ([A-Z_]+)", (DEPLOY / "workspace.yaml").read_text("utf-8")))
    assert used <= explained
    storage = yaml.safe_load((DEPLOY / "dagster.yaml").read_text("utf-8"))["storage"]["postgres"]["postgres_db"]
    assert all(set(value) == {"env"} for name, value in storage.items() if name != "scheme")
