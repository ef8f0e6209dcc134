"""A byte changed in every kind of file: `dci doctor` sees it, and its advice, followed word for word, mends it."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import duckdb
import pytest

from dci_pipeline_tests.cli.conftest import Dci

KINDS = {
    "part as received": "dci/feeds/*/year=*/month=02/partner=*/*/*.csv*",
    "typed rows": "dci/feeds/*/year=*/month=02/partner=*/*/typed.parquet",
    "receipt": "dci/feeds/*/year=*/month=02/partner=*/*/delivery.json",
    "copy of a receipt": "dci/feeds/*/year=*/month=02/partner=*/*/delivery.copy.json",
    "sums of a slice": "dci/validation/*_sums/**/part.parquet",
    "quarantine of a slice": "dci/validation/*_quarantine/**/part.parquet",
    "verdict of a slice": "dci/validation/*_verdict/**/part.parquet",
    "suite": "dci/validation/*_expectations/**/suite.json",
    "shares": "dci/normalise/shares/**/part.parquet",
    "published table": "dci/marts/index_month/**/part.parquet",
    "stamp of a slice": "dci/validation/*_verdict/**/stamp.json",
    "stamp": "dci/index/points/**/stamp.json",
    "record of the published file": "dci/catalogue.json",
    "published file": "dci.duckdb",
}


def state(root: Path) -> dict[str, object]:
    found: dict[str, object] = {}
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        if path.suffix == ".duckdb":
            with duckdb.connect(str(path), read_only=True) as connection:
                tables = [row[0] for row in connection.sql("SHOW TABLES").fetchall()]
                found[name] = {table: sorted(map(str, connection.table(table).fetchall())) for table in tables}
        elif path.is_file() and not name.startswith("locks/") and name != "dci/catalogue.json":
            found[name] = path.read_bytes()
    return found


@pytest.mark.slow
@pytest.mark.usefixtures("short_reference")
def test_every_damage_is_seen_and_the_advice_mends_it(dci: Dci, home: Path) -> None:
    root, copies = home / "warehouse", home / "copies"
    assert dci("simulate", "--months", "2018-01:2018-02", "--rows", "800", "--out", copies).code == 0
    assert dci("run", "--direct").code == 0
    assert dci("doctor").code == 0
    whole = state(root)
    unseen: list[str] = []
    for kind, pattern in KINDS.items():
        path = sorted(root.glob(pattern))[0]
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 0x01
        path.write_bytes(content)
        result = dci("doctor")
        said = " ".join(result.out.split())
        if kind == "part as received":
            assert result.code == 1 and "land it again" in said, (kind, said)
            receipt = json.loads((path.parent / "delivery.json").read_text("utf-8"))
            original = next(copies.rglob(path.name))
            options = ("--feed", receipt["feed"], "--partner", receipt["partner"], "--month", receipt["period"])
            assert dci("land", original, *options).code == 0
        else:
            commands = re.findall(r"dci (?:doctor --mend|run)(?: --index dci)?", said)
            if not commands:
                unseen.append(f"{kind}: {said}")
                continue
            for command in commands:
                done = dci(*shlex.split(command)[1:], *(["--direct"] if " run" in command else []))
                assert done.code == 0, (kind, command, done.all)
        after = state(root)
        assert {name for name in {*after, *whole} if after.get(name) != whole.get(name)} == set(), kind
        assert dci("doctor").code == 0, kind
    assert unseen == []
