"""The rules of the layout, each kept by a test; and for each rule a breach made on purpose that the test must see."""

from __future__ import annotations

import ast
import functools
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

PACKAGE = Path(__file__).resolve().parent.parent / "dci_pipeline"
CONTRACTS = PACKAGE.parent / "data_contracts"
STAGES = ("feeds", "validation", "indicators", "normalise", "weight", "index", "marts", "releases", "trail", "report")
DISK = {
    "open",
    "read_bytes",
    "read_text",
    "write_bytes",
    "write_text",
    "mkdir",
    "unlink",
    "rename",
    "replace",
    "rmdir",
    "touch",
    "symlink_to",
    "iterdir",
    "glob",
    "rglob",
    "stat",
    "exists",
    "is_file",
    "is_dir",
}
DISK_CALLS = {
    "write_parquet",
    "sink_parquet",
    "write_csv",
    "scan_parquet",
    "scan_csv",
    "write_ipc",
    "sink_csv",
    "rmtree",
    "copyfile",
    "copytree",
    "connect",
}


def sources(package: Path, *folders: str) -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(package.rglob("*.py")):
        name = path.relative_to(package).as_posix()
        if not folders or name.split("/")[0] in folders:
            yield name, parsed(path.read_text(encoding="utf-8"))


@functools.cache
def parsed(text: str) -> ast.Module:
    """The same tree for the same text: every rule reads the whole package, and none changes it."""
    return ast.parse(text)


def imports(tree: ast.Module, *, top_level: bool = False) -> Iterator[str]:
    """Every module imported, with the names taken from it; only those that run on import when `top_level`."""
    for node in _import_time(tree) if top_level else ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _import_time(tree: ast.AST) -> Iterator[ast.AST]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            continue
        yield node
        yield from _import_time(node)


def roots(tree: ast.Module, *, top_level: bool = False) -> set[str]:
    return {name.split(".")[0] for name in imports(tree, top_level=top_level)}


def dagster_outside(package: Path) -> list[str]:
    """Rule 1: only defs/, definitions.py and cli/ import dagster, and the cli inside the command that needs it."""
    return [
        name
        for name, tree in sources(package)
        if any(
            root == "dagster" or root.startswith("dagster_") for root in roots(tree, top_level=name.startswith("cli/"))
        )
        and not (name.startswith("defs/") or name == "definitions.py")
    ]


def engine_in_defs(package: Path) -> list[str]:
    """Rule 1: no file in defs/ imports polars or duckdb."""
    return [
        name
        for name, tree in sources(package, "defs", "definitions.py")
        if roots(tree) & {"polars", "duckdb", "pandas", "narwhals", "pyarrow"}
    ]


def stage_to_the_right(package: Path) -> list[str]:
    """Rule 2: a stage imports only stages to its left, and never steps, work, warehouse, settings, defs or cli."""
    wrong: list[str] = []
    for position, stage in enumerate(STAGES):
        forbidden = {
            *STAGES[position + 1 :],
            "steps",
            "work",
            "warehouse",
            "settings",
            "defs",
            "cli",
            "path",
            "plan",
            "reads",
            "refresh",
            "due",
            "definitions",
            "engines",
        }
        for name, tree in sources(package, stage):
            wrong += [
                f"{name} imports {module}"
                for module in imports(tree)
                if module.startswith("dci_pipeline.") and module.split(".")[1] in forbidden
            ]
    return wrong


def context_or_path_in_stage(package: Path) -> list[str]:
    """Rule 2: pure functions take frames and plain values, never a path."""
    return [
        f"{name}:{node.lineno} {node.name}({argument.arg})"
        for name, tree in sources(package, *STAGES)
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef)
        for argument in [*node.args.args, *node.args.kwonlyargs]
        if argument.annotation is not None
        and re.search(r"\bPath\b|\bSettings\b|ExecutionContext", ast.unparse(argument.annotation))
    ]


def disk_in_stage(package: Path) -> list[str]:
    """Rule 3: stages touch no disk."""
    wrong: list[str] = []
    for name, tree in sources(package, *STAGES):
        wrong += [f"{name} imports {root}" for root in roots(tree) & {"pathlib", "shutil", "os", "glob"}]
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call):
                continue
            called = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
            if isinstance(node.func, ast.Name) and called == "open":
                wrong.append(f"{name}:{node.lineno} open()")
    return wrong


def warehouse_disk_elsewhere(package: Path) -> list[str]:
    """Rule 3: only warehouse/ writes files; the cli writes exports, engines sink where the warehouse says."""
    allowed = ("warehouse/", "cli/", "engines/")
    wrong: list[str] = []
    for name, tree in sources(package):
        if name.startswith(allowed):
            continue
        for node in ast.walk(tree):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr
                in {
                    "write_bytes",
                    "write_text",
                    "write_parquet",
                    "sink_parquet",
                    "unlink",
                    "rmtree",
                    "mkdir",
                    "symlink_to",
                    "rmdir",
                    "touch",
                }
                and not _only_home(name, node)
            ):
                wrong.append(f"{name}:{node.lineno} {node.func.attr}")
    return wrong


def _only_home(name: str, node: ast.Call) -> bool:
    """A stream the caller opened is no path; Dagster's own home is written by the launcher."""
    first = ast.unparse(node.args[0]) if node.args else ""
    return name == "defs/launch.py" or first in {"buffer", "out"}


def expectations_elsewhere(package: Path) -> list[str]:
    """Rule 4: only validation/expectations.py imports great_expectations, inside the function that needs it."""
    return [
        name
        for name, tree in sources(package)
        if "great_expectations" in roots(tree, top_level=name == "validation/expectations.py")
    ]


def names_in_code(package: Path) -> list[str]:
    """Rule 5: no place, indicator, feed, weight or index is named in code."""
    known = data_names()
    wrong: list[str] = []
    for name, tree in sources(package):
        documented = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            if (
                isinstance(node, ast.Constant)
                and isinstance(node.value, str)
                and id(node) not in documented
                and node.value in known
                and not name.startswith("cli/")
            ):
                wrong.append(f"{name}:{node.lineno} {node.value!r}")
    return wrong


def data_names() -> set[str]:
    """Ids of indexes, feeds, nodes, partners, waves and place types that are data; plain words are not."""
    names: set[str] = set()
    for index in CONTRACTS.glob("*/index.yaml"):
        raw = yaml.safe_load(index.read_text(encoding="utf-8"))
        names |= {raw["index"], raw["nation"]["code"]}
        names |= {node["node"] for node in raw["nodes"]}
        names |= {entry["type"] for part in ("places", "groups") for entry in raw["entities"][part]}
        names |= {path.stem for path in (index.parent / "feeds").glob("*.yaml")}
        names |= {path.stem for path in (index.parent / "weights").glob("*.csv")}
    # Two kinds of places bear names that are plain words of programs and of statistics as well.
    return names - {"residual", "state"}


def silent_fallback(package: Path) -> list[str]:
    """Rule 6: nothing is swallowed: no bare except, no `except Exception: pass`."""
    return [
        f"{name}:{node.lineno}"
        for name, tree in sources(package)
        for node in ast.walk(tree)
        if isinstance(node, ast.ExceptHandler)
        and (
            node.type is None
            or (
                isinstance(node.type, ast.Name)
                and node.type.id in {"Exception", "BaseException"}
                and all(isinstance(line, ast.Pass | ast.Continue) for line in node.body)
            )
        )
    ]


def drawers(package: Path) -> list[str]:
    return [
        name
        for name, _ in sources(package)
        if re.search(r"(^|/)(utils?|helpers?|common|managers?|base|misc)(\.py|/)", name)
    ]


def undocumented(package: Path) -> list[str]:
    return [name for name, tree in sources(package) if not ast.get_docstring(tree)]


RULES: dict[str, tuple[Callable[[Path], list[str]], str, str]] = {
    "dagster stays in defs": (dagster_outside, "index/breach.py", '"""x"""\nimport dagster\n'),
    "cli imports dagster inside commands": (dagster_outside, "cli/breach.py", '"""x"""\nfrom dagster import asset\n'),
    "defs import no engine": (engine_in_defs, "defs/breach.py", '"""x"""\ndef f():\n    import polars\n'),
    "stages import to the left": (
        stage_to_the_right,
        "normalise/breach.py",
        '"""x"""\nfrom dci_pipeline.index import compute\n',
    ),
    "stages know no warehouse": (
        stage_to_the_right,
        "marts/breach.py",
        '"""x"""\nfrom dci_pipeline.warehouse.store import Warehouse\n',
    ),
    "stages take no path": (context_or_path_in_stage, "feeds/breach.py", '"""x"""\ndef f(p: "Path") -> None: ...\n'),
    "stages touch no disk": (disk_in_stage, "weight/breach.py", '"""x"""\ndef f():\n    return open("x")\n'),
    "only the warehouse writes": (
        warehouse_disk_elsewhere,
        "breach.py",
        '"""x"""\ndef f(p):\n    p.write_bytes(b"")\n',
    ),
    "great_expectations in one function": (
        expectations_elsewhere,
        "validation/breach.py",
        '"""x"""\ndef f():\n    import great_expectations\n',
    ),
    "great_expectations not on import": (
        expectations_elsewhere,
        "validation/expectations.py",
        '"""x"""\nimport great_expectations\n',
    ),
    "structure is data": (names_in_code, "marts/breach.py", '"""x"""\nNODE = "mobile_traffic"\n'),
    "nothing is swallowed": (silent_fallback, "breach.py", '"""x"""\ntry:\n    f()\nexcept Exception:\n    pass\n'),
    "no drawers": (drawers, "marts/utils.py", '"""x"""\n'),
    "every module says what belongs in it": (undocumented, "marts/breach.py", "X = 1\n"),
}


@pytest.mark.parametrize("rule", RULES)
def test_rule_holds(rule: str) -> None:
    check, _, _ = RULES[rule]
    assert check(PACKAGE) == []


@pytest.mark.parametrize("rule", RULES)
def test_a_breach_is_seen(rule: str, tmp_path: Path) -> None:
    check, file, breach = RULES[rule]
    copy = tmp_path / "dci_pipeline"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    target = copy / file
    target.parent.mkdir(exist_ok=True)
    target.write_text(breach, encoding="utf-8")
    assert any(file in found for found in check(copy)), f"the breach in {file} went unseen"


def test_stages_are_folders_and_test_folders() -> None:
    built = [stage for stage in STAGES if (PACKAGE / stage).is_dir()]
    assert built == list(STAGES)
    tests = Path(__file__).parent
    assert [stage for stage in STAGES if not (tests / stage).is_dir()] == []
