"""The command explains itself, is documented in full, and starts without the heavy libraries."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from dci_pipeline import __version__
from dci_pipeline.cli.app import app
from dci_pipeline_tests.cli.conftest import Dci
from dci_pipeline_tests.conftest import PROJECT

DOCS = (PROJECT / "docs" / "cli.md").read_text(encoding="utf-8")
HEAVY = ("dagster", "great_expectations", "pandas", "narwhals", "pyspark")


def commands() -> Iterator[tuple[str, Any]]:
    """Every command by its full name, groups included."""

    def walk(name: str, command: Any) -> Iterator[tuple[str, Any]]:
        yield name, command
        for sub, below in getattr(command, "commands", {}).items():
            yield from walk(f"{name} {sub}", below)

    yield from walk("dci", typer.main.get_command(app))


COMMANDS = dict(commands())


def section(name: str) -> str:
    """The part of the documentation under the command's heading; the whole of it for the command itself."""
    if name == "dci":
        return DOCS
    found = re.search(rf"^#+ {re.escape(name)}$(.*?)(?=^#+ dci|\Z)", DOCS, re.MULTILINE | re.DOTALL)
    return found.group(1) if found else ""


@pytest.mark.parametrize("name", list(COMMANDS))
def test_every_command_and_option_is_documented(name: str) -> None:
    text = section(name)
    assert text, f"docs/cli.md has no heading for {name}"
    for parameter in COMMANDS[name].params:
        for option in [*parameter.opts, *parameter.secondary_opts]:
            if option.startswith("--") and option not in ("--help", "--index"):
                assert f"`{option}" in text or f"{name} {option}`" in text, f"{name} {option} is not in docs/cli.md"


def test_nothing_is_documented_that_is_not_there() -> None:
    headings = re.findall(r"^#+ (dci .+)$", DOCS, re.MULTILINE)
    assert set(headings) == set(COMMANDS) - {"dci"}
    known = {
        option
        for command in COMMANDS.values()
        for parameter in command.params
        for option in [*parameter.opts, *parameter.secondary_opts]
    }
    written = set(re.findall(r"`(--[a-z-]+)", DOCS))
    assert written <= known | {"--help"}, written - known


@pytest.mark.parametrize("name", list(COMMANDS))
def test_every_command_has_help_with_an_example(dci: Dci, name: str) -> None:
    result = dci(*name.split()[1:], "--help")
    assert result.code == 0
    assert COMMANDS[name].help
    assert "Example" in result.out or name == "dci"
    for parameter in COMMANDS[name].params:
        assert getattr(parameter, "help", "") or parameter.name == "help", f"{name} {parameter.name} has no help"


@pytest.mark.parametrize("name", [name for name, command in COMMANDS.items() if not hasattr(command, "commands")])
def test_every_command_takes_an_index(name: str) -> None:
    options = {option for parameter in COMMANDS[name].params for option in parameter.opts}
    assert "--index" in options or name == "dci ui"


def test_version(dci: Dci) -> None:
    assert dci("--version").out.strip() == f"dci {__version__}"


def test_usage_errors_end_in_2(dci: Dci) -> None:
    assert dci("nonsense").code == 2
    assert dci("check").code == 2
    assert dci("check", "x.csv").code == 2
    assert dci("ui", "--host", "0.0.0.0").code == 2


def modules(home: Path, *args: str) -> tuple[set[str], str]:
    """Top-level modules loaded by a command in a process of its own."""
    code = (
        "import sys, atexit; from dci_pipeline.cli import main; "
        "atexit.register(lambda: print('\\nLOADED', *sorted({name.split('.')[0] for name in sys.modules}))); "
        f"sys.argv = ['dci', *{list(args)!r}]; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        cwd=home,
        env=os.environ | {"PYTHONPATH": str(PROJECT)},
    )
    loaded = next(line for line in done.stdout.splitlines() if line.startswith("LOADED"))
    return set(loaded.split()[1:]), done.stdout + done.stderr


@pytest.mark.parametrize("args", [("--help",), ("sql", "--help"), ("sql", "SELECT 1"), ("land", "--help")])
def test_starting_up_loads_nothing_heavy(home: Path, args: tuple[str, ...]) -> None:
    loaded, said = modules(home, *args)
    assert not loaded & {*HEAVY, "polars", "pyarrow", "yaml"}, said


def test_sql_and_check_never_load_the_engine_or_the_judge(home: Path) -> None:
    import duckdb

    from dci_pipeline_tests.cli.conftest import rows, write

    (home / "warehouse").mkdir()
    with duckdb.connect(str(home / "warehouse" / "dci.duckdb")) as connection:
        connection.execute("CREATE TABLE t AS SELECT 42 AS answer")
    loaded, said = modules(home, "sql", "SELECT * FROM t")
    assert "42" in said
    assert not loaded & {*HEAVY, "polars", "pyarrow"}
    loaded, said = modules(home, "check", str(write(home / "good.csv", rows())), "--feed", "transactions")
    assert "Accepted" in said
    assert not loaded & {"dagster", "great_expectations", "pandas"}


def test_a_library_in_use_ends_without_a_complaint(home: Path) -> None:
    loaded, said = modules(home, "doctor")
    assert {"duckdb", "polars"} <= loaded
    assert "leaked" not in said, said
