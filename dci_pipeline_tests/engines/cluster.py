"""A Spark cluster on loopback for the tests: a master, two workers, a Connect server, each a process of its own.

From the pip package, on Java 17 or newer. Every port is a free one, bound to 127.0.0.1; nothing outlives the block.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

LOOPBACK = "127.0.0.1"
# Where `make test` puts what Spark needs beside the pinned environment: on the path of nothing but these tests.
BESIDE = Path(sys.prefix) / "spark"
_JAVA = 17
_CPU, _MEMORY = 1, 700
_PATIENCE = 180.0


def packages() -> Path | None:
    """The folder that holds pyspark: the environment's own, or the one beside it; None where it is not installed."""
    found = importlib.util.find_spec("pyspark")
    if found is not None and found.origin:
        return Path(found.origin).parents[1]
    return BESIDE if (BESIDE / "pyspark").is_dir() else None


def missing() -> str | None:
    """Why no cluster can be had on this machine; None where one can."""
    java = shutil.which("java")
    if java is None:
        return f"no java: a Spark cluster needs Java {_JAVA} or newer (openjdk-17-jre-headless)"
    told = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr
    version = re.search(r'version "(\d+)', told)
    if version is None or int(version[1]) < _JAVA:
        return f"Java {version[1] if version else 'of an unknown version'}: Spark needs {_JAVA} or newer"
    if packages() is None:
        return "pyspark is not installed: make .venv/spark/.ready"
    return None


@dataclass(frozen=True)
class Cluster:
    """Where it is reached, and what it is made of. Executors come with the first session and when one has died."""

    port: int
    web: int
    home: Path
    workers: tuple[int, ...]

    @property
    def address(self) -> str:
        return f"sc://{LOOPBACK}:{self.port}"

    def registered(self) -> int:
        """Workers that the master has and can reach."""
        with urllib.request.urlopen(f"http://{LOOPBACK}:{self.web}/json/", timeout=10) as answer:
            return int(json.load(answer)["aliveworkers"])

    def executors(self) -> dict[int, int]:
        """Process id of every executor alive -> process id of its worker."""
        found: dict[int, int] = {}
        for path in Path("/proc").glob("[0-9]*"):
            try:
                parent = int((path / "stat").read_text().rsplit(")", 1)[1].split()[1])
                command = (path / "cmdline").read_bytes()
            except (OSError, IndexError):
                continue  # gone meanwhile
            if parent in self.workers and b"CoarseGrainedExecutorBackend" in command:
                found[int(path.name)] = parent
        return found

    def tasks(self) -> dict[str, int]:
        """Executor, as worker/number -> tasks it has begun."""
        return {
            "/".join(log.parts[-4:-1]): log.read_text(errors="replace").count("Running task")
            for log in sorted(self.home.glob("worker*/app-*/*/stderr"))
        }


def wait(until: Callable[[], bool], what: str, patience: float = _PATIENCE) -> None:
    end = time.monotonic() + patience
    while not until():
        assert time.monotonic() < end, f"waited {patience:.0f} s for {what}"
        time.sleep(0.2)


@contextmanager
def cluster(home: Path) -> Iterator[Cluster]:
    """Started in `home`, ready when two workers are registered and the server answers; killed when the block ends."""
    spark = packages()
    assert spark is not None
    home.mkdir(parents=True, exist_ok=True)
    master, web, connect = free(), free(), free()
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("SPARK_", "PYSPARK_"))}
    environment |= {
        "SPARK_HOME": str(spark / "pyspark"),
        "SPARK_LOCAL_IP": LOOPBACK,
        "SPARK_LOCAL_DIRS": str(home / "local"),
        # Of the Connect server too, which is a daemon, and refuses less.
        "SPARK_DAEMON_MEMORY": "768m",
        "SPARK_NO_DAEMONIZE": "1",
        "PYSPARK_PYTHON": sys.executable,
    }
    started: list[subprocess.Popen[bytes]] = []

    def start(name: str, *command: str) -> int:
        with (home / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                command, env=environment, cwd=home, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )
        started.append(process)
        return process.pid

    def ready(name: str, until: Callable[[], bool]) -> None:
        def look() -> bool:
            dead = [process.args for process in started if process.poll() is not None]
            assert not dead, f"{name}: {dead} ended: {(home / f'{name}.log').read_text(errors='replace')[-2000:]}"
            try:
                return until()
            except (OSError, ValueError):
                return False  # nobody listens yet, or its page is there before its figures are

        wait(look, name)

    run = str(spark / "pyspark" / "bin" / "spark-class")
    deploy = "org.apache.spark.deploy"
    try:
        start(
            "master",
            *(run, f"{deploy}.master.Master", "--host", LOOPBACK, "--port", str(master), "--webui-port", str(web)),
        )
        workers = tuple(
            start(
                f"worker{number}",
                *(run, f"{deploy}.worker.Worker", "--host", LOOPBACK, "--port", "0", "--webui-port", "0"),
                *("--cores", str(_CPU), "--memory", f"{_MEMORY}m", "--work-dir", str(home / f"worker{number}")),
                f"spark://{LOOPBACK}:{master}",
            )
            for number in (1, 2)
        )
        made = Cluster(connect, web, home, workers)
        ready("master", lambda: made.registered() == len(workers))
        settings = {
            "spark.ui.enabled": "false",
            "spark.connect.grpc.binding.address": LOOPBACK,
            "spark.connect.grpc.binding.port": str(connect),
            "spark.driver.host": LOOPBACK,
            "spark.driver.bindAddress": LOOPBACK,
            "spark.executor.cores": str(_CPU),
            "spark.executor.memory": f"{_MEMORY - 100}m",
            # Small files are to be worked on by both: cut up as large ones would be.
            "spark.sql.files.maxPartitionBytes": "65536",
            "spark.sql.files.openCostInBytes": "0",
            "spark.sql.shuffle.partitions": "4",
            "spark.sql.adaptive.coalescePartitions.enabled": "false",
            "spark.sql.warehouse.dir": str(home / "tables"),
        }
        start(
            "connect",
            *("bash", str(spark / "pyspark" / "sbin" / "start-connect-server.sh")),
            *("--master", f"spark://{LOOPBACK}:{master}"),
            *(word for name, value in settings.items() for word in ("--conf", f"{name}={value}")),
        )
        ready("connect", lambda: socket.create_connection((LOOPBACK, connect), timeout=5).close() is None)
        wait(lambda: len(made.executors()) == len(workers), "two executors")
        yield made
    finally:
        # Each started a session of its own, and an executor is a child of its worker: the group ends as one.
        for process in reversed(started):
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(timeout=60)


def free() -> int:
    """A port nobody listens on just now."""
    with socket.socket() as taken:
        taken.bind((LOOPBACK, 0))
        return int(taken.getsockname()[1])
