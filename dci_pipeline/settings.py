"""Where things are and which engine works: the few choices a machine makes, from the environment.

DCI_WAREHOUSE, DCI_SCRATCH, DCI_CONTRACTS, DCI_ENGINE, DCI_ENGINE_MEMORY, DCI_EXECUTOR, DCI_WORKERS,
DCI_EXECUTOR_CONFIG, DCI_WAREHOUSE_SHARED, DCI_DROP, DCI_DROP_SETTLE, DCI_TIMEZONE, DCI_MAP, DCI_MAP_APPROVAL.
Method, structure and thresholds are not settings: they are data_contracts/.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from dci_pipeline.findings import Finding

ENGINES = ("auto", "polars", "duckdb")
EXECUTORS = ("in_process", "multiprocess", "k8s")
# What an engine needs at least to work in.
_LEAST_MEGABYTES = 100
# A Spark Connect server; what follows the port are parameters, which may hold a token.
_ADDRESS = re.compile(r"(sc://(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\]):[0-9]{1,5})(?:/?|/;([^/?#@\s]*))")


@dataclass(frozen=True)
class Settings:
    """One process's choices."""

    warehouse: Path
    contracts: Path
    engine: str
    # What the engine may work in, in bytes, beside what the process has: above it the work is cut up or spilled.
    engine_memory: int = 700_000_000
    # Where partners put their files when the environment says so, and how long one has to be left alone to be whole.
    drop: Path | None = None
    settle: float = 60.0
    # What a connection to the engine needs besides its address, a token among it: never shown.
    engine_parameters: str = field(default="", repr=False)
    # Where slices are validated: in the run's own process, in so many processes beside it, or in pods.
    executor: str = "in_process"
    workers: int = 1
    # What pods are given, in the words of dagster-k8s.
    executor_config: Path | None = None

    def drop_of(self, index: str) -> Path:
        """The folder in which the files of one index arrive: on this machine's disk in any case."""
        return (self.drop or self._local / "drop") / index

    @property
    def dagster_home(self) -> Path:
        return self._local / "dagster"

    @property
    def _local(self) -> Path:
        """On a disk: the warehouse, or where this machine works for one on object storage."""
        from dci_pipeline.warehouse.objects import scratch

        return scratch(self.warehouse)

    def indexes(self) -> list[str]:
        """Names of the indexes described under the contracts folder, sorted."""
        return sorted(path.parent.name for path in self.contracts.glob("*/index.yaml"))


def read_settings() -> Settings:
    """Settings from the environment; relative paths are taken from the working directory.

    Raises Finding for an unknown engine or executor, a contracts folder that is not there, a file where the warehouse
    should be, and for pods that would not see the warehouse.
    """
    engine, parameters = _engine()
    contracts = Path(os.environ.get("DCI_CONTRACTS") or _beside_package("data_contracts")).resolve()
    if not contracts.is_dir():
        raise Finding(
            "no such folder",
            where="DCI_CONTRACTS",
            found=str(contracts),
            expected="the folder that holds one sub-folder per index",
            todo="run from the project's root, or set DCI_CONTRACTS",
        )
    warehouse = _warehouse()
    if _ADDRESS.fullmatch(engine) and "://" in str(warehouse):
        raise Finding(
            "a cluster's workers do not read this warehouse",
            where="DCI_ENGINE with DCI_WAREHOUSE",
            found=f"{engine} with {warehouse}",
            expected="a warehouse in a folder that this machine, the server and the workers share",
            todo="set DCI_WAREHOUSE to such a folder, or unset DCI_ENGINE",
        )
    drop = os.environ.get("DCI_DROP")
    memory = _megabytes("DCI_ENGINE_MEMORY", 700)
    executor = _executor(warehouse)
    return Settings(
        warehouse=warehouse,
        contracts=contracts,
        engine=engine,
        engine_parameters=parameters,
        engine_memory=memory * 1_000_000,
        executor=executor,
        workers=_workers(memory) if executor == "multiprocess" else 1,
        executor_config=_executor_config() if executor == "k8s" else None,
        drop=Path(drop).resolve() if drop else None,
        settle=_seconds("DCI_DROP_SETTLE", 60.0),
    )


def _engine() -> tuple[str, str]:
    """The engine's name or address, and the parameters of its connection. Raises Finding without a word of these."""
    given = os.environ.get("DCI_ENGINE") or "auto"
    address = _ADDRESS.fullmatch(given)
    if address is not None:
        return address[1], address[2] or ""
    if given not in ENGINES:
        raise Finding(
            "unknown engine",
            where="DCI_ENGINE",
            found=given if re.fullmatch(r"\w{1,20}", given) else "no address of the form expected, and no name",
            expected=" or ".join(ENGINES) + ", or the address of a Spark Connect server: sc://host:port",
            todo="set DCI_ENGINE to one of these, or unset it for auto",
        )
    return given, ""


def _executor(warehouse: Path) -> str:
    """Where slices are validated. Raises Finding for another word, and for pods without a warehouse they share."""
    given = os.environ.get("DCI_EXECUTOR") or "in_process"
    if given not in EXECUTORS:
        raise Finding(
            "unknown executor",
            where="DCI_EXECUTOR",
            found=given,
            expected=" or ".join(EXECUTORS),
            todo="set DCI_EXECUTOR to one of these, or unset it for in_process",
        )
    if given == "k8s" and "://" not in str(warehouse) and not _on("DCI_WAREHOUSE_SHARED"):
        raise Finding(
            "a warehouse that pods do not share",
            where="DCI_EXECUTOR with DCI_WAREHOUSE",
            found=f"{given} with {warehouse}",
            expected="a warehouse on object storage, or a volume mounted in every pod at this path",
            todo="set DCI_WAREHOUSE to s3://bucket/prefix; or, for such a volume, set DCI_WAREHOUSE_SHARED=on",
        )
    return given


def _workers(memory: int) -> int:
    """Processes that validate slices at the same time. Raises Finding when their shares of the memory are too small."""
    cores, most = len(os.sched_getaffinity(0)), memory // _LEAST_MEGABYTES
    given = os.environ.get("DCI_WORKERS") or str(min(cores, most))
    if not given.isascii() or not given.isdigit() or not 1 <= int(given) <= most:
        raise Finding(
            "not a number of processes",
            where="DCI_WORKERS",
            found=given,
            expected=f"1 to {most}: each gets its share of DCI_ENGINE_MEMORY ({memory} megabytes), at least "
            f"{_LEAST_MEGABYTES}",
            todo="correct DCI_WORKERS, or give DCI_ENGINE_MEMORY more",
        )
    return int(given)


def _executor_config() -> Path | None:
    """The file that says what pods are given. Raises Finding when it is not there."""
    return _file(
        "DCI_EXECUTOR_CONFIG",
        expected="a file such as deploy/kubernetes/executor.yaml",
        unset="pods are then given what the run's own has",
    )


def _warehouse() -> Path:
    """The warehouse's folder, or its address on object storage. Raises Finding for neither."""
    given = os.environ.get("DCI_WAREHOUSE")
    if given and "://" in given:
        from dci_pipeline.warehouse.objects import at, scratch

        address = at(given)
        scratch(address)  # whether there is a place to work in is said now
        return address
    warehouse = Path(given or _beside_package("warehouse")).resolve()
    blocked = next((path for path in (warehouse, *warehouse.parents) if path.exists() and not path.is_dir()), None)
    if blocked is not None:
        raise Finding(
            "not a folder",
            where="DCI_WAREHOUSE",
            found=f"{blocked}, a file",
            expected="a folder, which need not be there yet",
            todo="set DCI_WAREHOUSE to a folder, or unset it",
        )
    return warehouse


def timezone() -> str:
    """Whose midnight ends a period and whose clock the schedules go by. Raises Finding for an unknown name."""
    name = os.environ.get("DCI_TIMEZONE", "Asia/Shanghai")
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise Finding(
            "unknown time zone",
            where="DCI_TIMEZONE",
            found=name,
            expected="an IANA name",
            todo="set DCI_TIMEZONE to one such as UTC, or unset it",
        ) from error
    return name


def map_file() -> Path | None:
    """A GeoJSON file of outlines to draw maps with (DCI_MAP). Raises Finding when it is not there."""
    return _file(
        "DCI_MAP",
        expected="a GeoJSON file whose areas have a property code or adcode",
        unset="the outlines of the installed package are then drawn",
    )


def map_approval() -> str | None:
    """The map approval number (审图号) to print beside maps (DCI_MAP_APPROVAL); None when none was given."""
    return (os.environ.get("DCI_MAP_APPROVAL") or "").strip() or None


def _file(name: str, *, expected: str, unset: str) -> Path | None:
    """The file the environment names, if it names one. Raises Finding when it is not there."""
    given = os.environ.get(name)
    if given and not Path(given).is_file():
        raise Finding(
            "no such file", where=name, found=given, expected=expected, todo=f"correct {name}, or unset it: {unset}"
        )
    return Path(given).resolve() if given else None


def _seconds(name: str, usual: float) -> float:
    """A length of time from the environment. Raises Finding for anything but a number that is not negative."""
    given = os.environ.get(name)
    try:
        seconds = float(given) if given else usual
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise Finding(
            "not a length of time", where=name, found=given, expected="seconds, such as 60", todo=f"correct {name}"
        )
    return seconds


def _megabytes(name: str, usual: int) -> int:
    """An amount of memory from the environment. Raises Finding for anything but a whole number from 100 on."""
    given = os.environ.get(name) or str(usual)
    if not given.isascii() or not given.isdigit() or int(given) < _LEAST_MEGABYTES:
        raise Finding(
            "not an amount of memory",
            where=name,
            found=given,
            expected=f"megabytes, {_LEAST_MEGABYTES} or more",
            todo=f"correct {name}",
        )
    return int(given)


def automation() -> bool:
    """Whether schedules and sensors are on when first seen (DCI_AUTOMATION=on). Raises Finding for another word."""
    return _on("DCI_AUTOMATION")


def _on(name: str) -> bool:
    given = os.environ.get(name) or "off"
    if given not in ("on", "off"):
        raise Finding("neither on nor off", where=name, found=given, expected="on or off")
    return given == "on"


def looks_every(usual: int) -> int:
    """Seconds between two looks of a sensor that looks every `usual` seconds, unless DCI_LOOKS_EVERY says otherwise.

    Raises Finding for anything but a whole number from 1 on.
    """
    given = os.environ.get("DCI_LOOKS_EVERY") or str(usual)
    if not given.isascii() or not given.isdigit() or int(given) < 1:
        raise Finding(
            "not a length of time",
            where="DCI_LOOKS_EVERY",
            found=given,
            expected="whole seconds, 1 or more",
            todo="correct it, or unset it for what each sensor needs",
        )
    return int(given)


def schedule() -> str | None:
    """When the period that has become due is run, as a cron line (DCI_SCHEDULE); None where the contracts say it."""
    given = (os.environ.get("DCI_SCHEDULE") or "").strip()
    if given and len(given.split()) != len(["m", "h", "d", "M", "w"]):
        raise Finding(
            "not a cron line",
            where="DCI_SCHEDULE",
            found=given,
            expected="minute hour day month weekday, such as 0 6 9 * *",
            todo="correct it, or unset it for the day the contracts expect the last feed",
        )
    return given or None


def _beside_package(name: str) -> Path:
    """`name` in the working directory when it is there, else beside the package (an editable checkout)."""
    here = Path.cwd() / name
    return here if here.is_dir() else Path(__file__).resolve().parent.parent / name
