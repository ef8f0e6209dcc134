"""What many months cost in one go, and what one more month costs after one year and after five: CPU seconds.

Over the deliveries of the `report` profile, 66 months of seven feeds: CPU per row of the heavy stage over all months
against one month, indicators to marts over all months against one, and one more month on a growing history. Every
measurement is a process of its own. At the end the warehouse that grew in steps must hold the same bytes.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
LATE = ("indicators", "normalise", "weight", "index", "marts")
HISTORY = (12, 24, 36, 48, 60)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--deliveries", type=Path, help="a warehouse with the deliveries; else they are simulated")
    parser.add_argument("--out", type=Path, help="write the figures there as JSON, and the picture beside it as SVG")
    parser.add_argument("--one", nargs=2, metavar=("WAREHOUSE", "SPAN"), help=argparse.SUPPRESS)
    parser.add_argument("--stages", default="all", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        _one(Path(given.one[0]), given.one[1], given.stages)
        return
    with tempfile.TemporaryDirectory() as folder:
        figures = _measure(Path(folder), given.deliveries)
    _said(figures)
    if given.out:
        given.out.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
        _plot(figures, given.out.with_suffix(".svg"))


def _work(warehouse: Path):
    from dci_pipeline.settings import Settings
    from dci_pipeline.work import Work

    return Work(Settings(warehouse, PROJECT / "data_contracts", "polars"), "dci")


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _one(warehouse: Path, span: str, stages: str) -> None:
    """One refresh of a span in this process: CPU by stage, the catalogue apart, and the rows validated."""
    from dci_pipeline import plan, refresh
    from dci_pipeline.periods import parse_span

    work = _work(warehouse)
    wanted = parse_span(span, "month")
    there = sorted({*work.warehouse.existing("normalise", "shares", refresh.delivered_periods(work)[0]), *wanted})
    found = plan.due(work, wanted, there)
    if stages == "heavy":
        found = {key: parts for key, parts in found.items() if key[0] in ("feeds", "validation")}
    spent: dict[str, float] = {"start": _cpu()}
    rows, begun = 0, 0.0

    def moved(step, period, outcome) -> None:
        nonlocal rows, begun
        if outcome is None:
            begun = _cpu()
            return
        stage = "catalogue" if step.key[1] == "catalogue" else step.key[0]
        spent[stage] = spent.get(stage, 0.0) + _cpu() - begun
        rows += outcome.rows if stage == "validation" else 0

    report = refresh.run_direct(work, there, only=found, progress=moved)
    assert not report.held, report.held
    print(json.dumps({"spent": spent, "rows": rows, "all": _cpu()}))


def _child(warehouse: Path, span: str, stages: str = "all") -> dict[str, object]:
    command = [sys.executable, __file__, "--one", str(warehouse), span, "--stages", stages]
    # The checkout this file lies in, whatever is installed.
    environment = os.environ | {"PYTHONPATH": str(PROJECT)}
    done = subprocess.run(command, cwd=PROJECT, check=True, stdout=subprocess.PIPE, text=True, env=environment)
    return json.loads(done.stdout.splitlines()[-1])


def _late(found: dict[str, object]) -> float:
    return sum(seconds for stage, seconds in found["spent"].items() if stage in LATE)  # type: ignore[union-attr]


def _measure(folder: Path, deliveries: Path | None) -> dict[str, object]:
    source = deliveries or folder / "source"
    if deliveries is None:
        print("simulating the deliveries", file=sys.stderr)
        environment = os.environ | {"DCI_WAREHOUSE": str(source), "DCI_CONTRACTS": str(PROJECT / "data_contracts")}
        command = [sys.executable, "-m", "dci_pipeline.cli", "simulate", "--profile", "report"]
        subprocess.run(command, cwd=PROJECT, check=True, env=environment, stdout=subprocess.DEVNULL)
    whole, grown, single = folder / "whole", folder / "grown", folder / "single"
    for target in (whole, grown, single):
        shutil.copytree(source / "dci" / "feeds", target / "dci" / "feeds", copy_function=os.link)
        shutil.copy2(source / "format.json", target)
    sys.path.insert(0, str(PROJECT))
    from dci_pipeline import refresh

    months = refresh.delivered_periods(_work(whole))[0]

    def span(first: int, last: int) -> str:
        return f"{months[first]}:{months[last]}"

    print(f"{len(months)} months in one go", file=sys.stderr)
    everything = _child(whole, span(0, -1))
    ones = [_child(single, str(months[place]), "heavy") for place in (12, 36, 60)]
    more: dict[int, dict[str, object]] = {}
    first = 0
    for length in HISTORY:
        print(f"{length} months, then one more", file=sys.stderr)
        _child(grown, span(first, length - 1))
        more[length] = _child(grown, str(months[length]))
        first = length + 1
    _child(grown, span(first, -1))
    _same(whole, grown)
    heavy = {
        "all": 1e6 * everything["spent"]["validation"] / everything["rows"],  # type: ignore[index,operator]
        "one": [1e6 * one["spent"]["validation"] / one["rows"] for one in ones],  # type: ignore[index,operator]
    }
    last = more[HISTORY[-1]]
    return {
        "months": len(months),
        "heavy_us_a_row": heavy,
        "late_all": _late(everything),
        "late_one": _late(last),
        "catalogue": [everything["spent"]["catalogue"], last["spent"]["catalogue"]],  # type: ignore[index]
        "one_more": {
            length: [found["all"] - found["spent"]["catalogue"], found["spent"]["catalogue"]]  # type: ignore[index,operator]
            for length, found in more.items()
        },
    }


def _same(one: Path, other: Path) -> None:
    """Raises unless both hold the same tables, byte for byte."""
    files = [{path.relative_to(home): path for path in home.rglob("part.parquet")} for home in (one, other)]
    assert files[0].keys() == files[1].keys(), sorted(map(str, files[0].keys() ^ files[1].keys()))[:5]
    different = [str(name) for name, path in files[0].items() if path.read_bytes() != files[1][name].read_bytes()]
    assert not different, different[:5]


def _said(figures: dict[str, object]) -> None:
    heavy, months = figures["heavy_us_a_row"], figures["months"]
    one = sorted(heavy["one"])[1]  # type: ignore[index]
    print(f"heavy stage, µs a row: {months} months {heavy['all']:.0f}, one month {one:.0f}: {heavy['all'] / one:.2f}")  # type: ignore[index]
    late, single, (build, again) = figures["late_all"], figures["late_one"], figures["catalogue"]  # type: ignore[misc]
    print(
        f"indicators to marts: {months} months {late:.1f} s and the catalogue {build:.1f}; one month {single:.1f} s "
        f"and the catalogue {again:.1f}: {(late + build) / (single + again):.1f} times (goal: at most 8), "  # type: ignore[operator]
        f"the catalogue apart {late / single:.1f}"  # type: ignore[operator]
    )
    for length, (rest, catalogue) in figures["one_more"].items():  # type: ignore[union-attr]
        print(f"one more month after {length:2}: {rest:5.1f} s, and the catalogue {catalogue:5.1f}")


def _plot(figures: dict[str, object], target: Path) -> None:
    import altair as alt

    rows = [
        {"history": length, "CPU seconds": seconds, "what": what}
        for length, pair in figures["one_more"].items()  # type: ignore[union-attr]
        for what, seconds in zip(("one more month", "the catalogue"), pair, strict=True)
    ]
    chart = (
        alt.Chart(alt.Data(values=rows), width=480, height=260, title="One more month on a growing history")
        .mark_line(point=True)
        .encode(
            x=alt.X("history:Q", title="months of history"),
            y=alt.Y("CPU seconds:Q", scale=alt.Scale(zero=True)),
            color=alt.Color("what:N", title=None),
        )
    )
    chart.save(target)


if __name__ == "__main__":
    main()
