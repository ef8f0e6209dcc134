"""The documents name what is there and all that is there: tables, columns, commands, kinds of change."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from dci_pipeline import __version__
from dci_pipeline_tests.cli.conftest import Dci, dci, home
from dci_pipeline_tests.cli.test_help import COMMANDS
from dci_pipeline_tests.conftest import CONTRACTS, PROJECT

__all__ = ["dci", "home"]

DICTIONARY = PROJECT / "docs" / "data_dictionary.md"
PAGES = sorted([*PROJECT.glob("*.md"), *(PROJECT / "docs").glob("*.md"), *(PROJECT / "deploy").glob("*.md")])
TABLES = sorted(path.relative_to(CONTRACTS).as_posix() for path in CONTRACTS.glob("*/marts/*.yaml"))
FEEDS = sorted(path.relative_to(CONTRACTS).as_posix() for path in CONTRACTS.glob("*/feeds/*.yaml"))


def test_the_data_dictionary_is_what_the_contracts_say(dci: Dci) -> None:
    result = dci("contract", "dictionary", "--out", "page.md")
    assert result.code == 0, result.all
    made = Path("page.md").read_text(encoding="utf-8")
    assert made == DICTIONARY.read_text(encoding="utf-8"), "run: dci contract dictionary --out docs/data_dictionary.md"
    assert dci("contract", "dictionary").out == made


def test_of_one_index_it_is_that_part(dci: Dci) -> None:
    whole, part = DICTIONARY.read_text(encoding="utf-8"), dci("contract", "dictionary", "--index", "pulse").out
    assert whole.endswith(part[part.index("## Index `pulse`") :])
    assert "## Index `dci`" not in part


@pytest.mark.parametrize("path", TABLES)
def test_every_table_and_column_is_in_the_dictionary(path: str) -> None:
    index, _, file = path.split("/")
    _, found, after = DICTIONARY.read_text(encoding="utf-8").partition(f'<a id="{index}-{Path(file).stem}"></a>')
    assert found, f"{path} is not in docs/data_dictionary.md"
    section = after.partition("<a id=")[0].partition("\n## Index")[0]
    raw = yaml.safe_load((CONTRACTS / path).read_text(encoding="utf-8"))
    (table,) = raw["schema"]
    rows = re.findall(r"^\| `(\w+)`( \*)? \| (.*?) \| .* \| (.*?) \| (.*) \|$", section, flags=re.MULTILINE)
    keys = {item["name"] for item in table["properties"] if item.get("primaryKey")}
    assert [name for name, *_ in rows] == [item["name"] for item in table["properties"]]
    assert {name for name, key, *_ in rows if key} == keys
    for item, (_, _, label, unit, meaning) in zip(table["properties"], rows, strict=True):
        assert label == item["businessName"]
        assert meaning.replace("\\|", "|") == " ".join(item["description"].split())
        assert unit in ("", *(entry["value"] for entry in item.get("customProperties", [])))
    assert " ".join(raw["description"]["limitations"].split()) in section


def undescribed(contract: Path) -> list[str]:
    """What a contract leaves unsaid: its purpose and limits, a name in Chinese, the meaning of a column."""
    raw = yaml.safe_load(contract.read_text(encoding="utf-8"))
    (table,) = raw["schema"]
    published = contract.parent.name == "marts"
    said = {part: raw["description"].get(part) for part in ("purpose", "usage", "limitations")} if published else {}
    said |= {"purpose": raw["description"].get("purpose"), "schema": table.get("description")}
    if published:
        said |= {"businessName": table.get("businessName"), "grain": table.get("dataGranularityDescription")}
    for item in table["properties"]:
        said[f"{item['name']} description"] = item.get("description")
        said[f"{item['name']} businessName"] = item.get("businessName") if published else "-"
    return [name for name, text in said.items() if not str(text or "").strip()]


@pytest.mark.parametrize("path", [*TABLES, *FEEDS])
def test_a_contract_says_what_everything_means(path: str) -> None:
    assert undescribed(CONTRACTS / path) == []


def test_what_a_contract_leaves_unsaid_is_seen(tmp_path: Path) -> None:
    (tmp_path / "marts").mkdir()
    copy = Path(shutil.copy(CONTRACTS / "dci" / "marts" / "node.yaml", tmp_path / "marts" / "node.yaml"))
    raw = yaml.safe_load(copy.read_text(encoding="utf-8"))
    raw["schema"][0]["properties"][0]["description"] = " "
    del raw["schema"][0]["properties"][1]["businessName"], raw["description"]["limitations"]
    copy.write_text(yaml.safe_dump(raw, allow_unicode=True), encoding="utf-8")
    first, second = (item["name"] for item in raw["schema"][0]["properties"][:2])
    assert undescribed(copy) == ["limitations", f"{first} description", f"{second} businessName"]


def written_commands(text: str) -> Iterator[list[str]]:
    """Every call of the command in a page, as its words: lines of code, and code within a line."""
    blocks = re.findall(r"^```(?:sh|bash|console)?\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    lines += re.findall(r"^    (dci .*)$", text, flags=re.MULTILINE)
    lines += re.findall(r"`((?:\.venv/bin/)?dci [^`\n]*)`", text)
    for line in lines:
        for call in re.split(r"&&|\|", line.partition(" #")[0]):
            found = re.match(r"\s*(?:\S+/)?dci\s+(.*)", call)
            if found:
                try:
                    yield shlex.split(found.group(1).rstrip("\\").partition(" < ")[0])
                except ValueError:  # a query that goes on in the next line
                    yield found.group(1).split()[:1]


def wrong_in(words: list[str]) -> str | None:
    """What of a call is not there: the command, or an option of it."""
    name, rest = "dci", words
    while rest and f"{name} {rest[0]}" in COMMANDS:
        name, rest = f"{name} {rest[0]}", rest[1:]
    if name == "dci":
        known = {"--version", "--help", "-h", "--install-completion", "--show-completion", "COMMAND"}
        return None if not words or words[0] in known else words[0]
    if getattr(COMMANDS[name], "commands", None) and rest and not rest[0].startswith("-"):
        return f"{name} {rest[0]}"
    options = {option for item in COMMANDS[name].params for option in [*item.opts, *item.secondary_opts]} | {"--help"}
    unknown = [word.partition("=")[0] for word in rest if re.match(r"--[a-z]", word)]
    return next((f"{name} {option}" for option in unknown if option not in options), None)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_names_no_command_or_option_that_is_gone(page: Path) -> None:
    assert [found for words in written_commands(page.read_text(encoding="utf-8")) if (found := wrong_in(words))] == []


def test_a_command_that_is_gone_is_seen() -> None:
    page = "    dci publish --all\n\n`dci contract draw`, `.venv/bin/dci run --fast`; `dci run --direct` is there.\n"
    assert [wrong_in(words) for words in written_commands(page)] == [
        "publish",
        "dci contract draw",
        "dci run --fast",
        None,
    ]


KINDS = ["Coverage", "Revisions", "Method", "Schema", "Fixes"]


def test_changes_are_told_by_version_and_kind() -> None:
    text = (PROJECT / "CHANGELOG.md").read_text(encoding="utf-8")
    versions = re.split(r"^## ", text, flags=re.MULTILINE)[1:]
    assert versions
    assert re.match(r"Unreleased\n|" + re.escape(__version__) + r"\b", versions[0])
    for version in versions:
        parts = re.split(r"^### ", version, flags=re.MULTILINE)[1:]
        assert [part.splitlines()[0] for part in parts] == KINDS, version.splitlines()[0]
        for part in parts:
            assert re.search(r"^- \S", part, flags=re.MULTILINE), f"nothing is said under {part.splitlines()[0]}"


def changed_tables() -> set[str]:
    """The published tables and columns that the changes name."""
    text = (PROJECT / "CHANGELOG.md").read_text(encoding="utf-8")
    return set(re.findall(r"`([a-z]+(?:_[a-z]+)+)`", text))


def test_the_changes_name_only_what_is_there() -> None:
    known: set[str] = set()
    for path in (*TABLES, *FEEDS):
        raw = yaml.safe_load((CONTRACTS / path).read_text(encoding="utf-8"))
        known |= {raw["name"], *(item["name"] for item in raw["schema"][0]["properties"])}
    indexes = "".join(path.read_text(encoding="utf-8") for path in CONTRACTS.glob("*/index.yaml"))
    assert {name for name in changed_tables() - known if name not in indexes} == set()
