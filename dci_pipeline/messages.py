"""What is said to people who are not at a screen: the wording of a failed run's message, and of any other.

Pure: from plain values to text. Whatever may come from a partner's file is shown, never sent as it stands, and bounded.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from dci_pipeline.plain_text import cell, harmless

_FEW, _TABLES, _ROWS, _COLUMNS, _WIDTH, _LINES, _LONGEST = 5, 3, 10, 14, 60, 12, 400
_SUBJECT = 150

Row = Mapping[str, object]


@dataclass(frozen=True)
class Message:
    """One message. `key` names what it is about, so that a receiver can tell a repetition from a second event."""

    key: str
    subject: str
    text: str
    facts: Mapping[str, object] = field(default_factory=dict[str, object])


@dataclass(frozen=True)
class FailedCheck:
    """A blocking check that failed: the table as stage and name, the period as text, what it says, tables of rows."""

    stage: str
    table: str
    period: str
    check: str
    says: str
    rows: Mapping[str, Sequence[Row]] = field(default_factory=dict[str, Sequence[Row]])

    @property
    def partners(self) -> list[str]:
        """Whose deliveries broke a rule, as the rows name them."""
        return _distinct(
            str(row["partner"]) for rows in self.rows.values() for row in rows if "partner" in row and "rule" in row
        )

    @property
    def rules(self) -> list[str]:
        """The rules broken, as the rows name them."""
        return _distinct(str(row["rule"]) for rows in self.rows.values() for row in rows if "rule" in row)


@dataclass(frozen=True)
class FailedStep:
    """A table whose step stopped, and what it said. kind: 'held' (a check, a missing input), 'finding' or 'error'."""

    table: str
    says: str
    kind: str


@dataclass(frozen=True)
class FailedRun:
    """What is known of a run that failed. `link` is its page in the UI, or how to find it."""

    run: str
    index: str
    job: str
    started_by: str
    periods: str
    link: str
    checks: Sequence[FailedCheck] = ()
    steps: Sequence[FailedStep] = ()
    says: str = ""


def failed_run(run: FailedRun) -> Message:
    """The one message of a failed run: what failed, the first offending rows, what to do next, where to look."""
    about = _about(run)
    subject = harmless(f"[{run.index}] 运行失败 run failed: {about}")
    text = [
        f"A run of {harmless(run.index)} failed: {harmless(about)}",
        "",
        *_listed(
            ("index", run.index),
            ("job", run.job),
            ("period", run.periods),
            ("started by", run.started_by),
            ("run", run.run),
        ),
        # Ours, not a partner's: the one link that can be followed.
        f"look at:    {run.link}",
    ]
    for check in run.checks[:_FEW]:
        text += ["", *_check(check)]
    text += _more(len(run.checks) - _FEW, "failed check")
    text += _steps(run)
    if run.says and not run.checks and not run.steps:
        text += ["", *_indented(run.says)]
    text += ["", "What to do next", *(f"- {line}" for line in _todo(run))]
    return Message(
        key=f"failed-run-{run.run}",
        subject=_cut(subject, _SUBJECT),
        text="\n".join(text) + "\n",
        facts={
            "index": run.index,
            "job": run.job,
            "run": run.run,
            "periods": run.periods,
            "link": run.link,
            "checks": [
                {"table": f"{item.stage}/{item.table}", "period": item.period, "check": item.check, "rules": item.rules}
                for item in run.checks[:_FEW]
            ],
        },
    )


def trial(index: str, host: str, once: str) -> Message:
    """A message that asks for nothing: whether the settings work. `once` tells it from every other trial."""
    return Message(
        key=f"trial-{once}",
        subject=harmless(f"[{index}] 测试 test message"),
        text=f"A test of where messages of {harmless(index)} go, sent from {harmless(host)}. Nothing is to be done.\n",
        facts={"index": index},
    )


def _about(run: FailedRun) -> str:
    if run.checks:
        first = run.checks[0]
        rules = ", ".join(first.rules[:2]) or first.check
        more = f" and {len(run.checks) - 1} more" if len(run.checks) > 1 else ""
        return f"{first.table} {first.period} {rules}{more}".strip()
    if run.steps:
        return f"{run.steps[0].table} {run.periods}".strip()
    return f"{run.job} {run.periods}".strip()


def _check(check: FailedCheck) -> list[str]:
    head = f"{check.stage}/{check.table} {check.period}".strip()
    text = [f"{harmless(head)}: the check {harmless(check.check)} failed", f"  {_cut(harmless(check.says), _LONGEST)}"]
    for label, rows in list(check.rows.items())[:_TABLES]:
        text += ["", f"  {harmless(label)}"]
        text += [f"  {number}. {_row(row)}" for number, row in enumerate(rows[:_ROWS], start=1)]
        text += _more(len(rows) - _ROWS, "row", indent="  ")
    return text


def _row(row: Row) -> str:
    """The row's values under their names, those that are there."""
    told = [(name, value) for name, value in row.items() if value is not None and value != ""]
    more = f"; and {len(told) - _COLUMNS} more columns" if len(told) > _COLUMNS else ""
    return "; ".join(f"{harmless(name)}: {cell(value, _WIDTH)}" for name, value in told[:_COLUMNS]) + more


def _steps(run: FailedRun) -> list[str]:
    """What the steps that stopped say: each text once. What is held because of a check shown above is only named."""
    by_text: dict[str, list[str]] = {}
    for step in run.steps:
        by_text.setdefault("" if step.kind == "held" and run.checks else step.says, []).append(step.table)
    text: list[str] = []
    for says, tables in list(by_text.items())[:_FEW]:
        text += ["", f"stopped: {harmless(', '.join(tables[:_FEW]))}" + (" and more" if len(tables) > _FEW else "")]
        text += _indented(says)
    return text + _more(len(by_text) - _FEW, "other reason")


def _indented(says: str) -> list[str]:
    told = [line for line in says.split("\n") if line.strip()]
    return [f"  {_cut(harmless(line), _LONGEST)}" for line in told[:_LINES]] + _more(
        len(told) - _LINES, "line", indent="  "
    )


def _todo(run: FailedRun) -> list[str]:
    found: list[str] = []
    for check in run.checks[:_FEW]:
        if check.stage in ("feeds", "validation"):
            who = " and ".join(check.partners) or "the partner"
            partner = check.partners[0] if len(check.partners) == 1 else "PARTNER"
            found.append(
                f"ask {who} for a corrected delivery of {check.table} {check.period}; when it is there: "
                f"dci land FILE --index {run.index} --feed {check.table} --partner {partner} --period {check.period}, "
                f"then dci run --index {run.index} --months {check.period}"
            )
        else:
            found.append(f"look at the rows of {check.check} on the page of {check.stage}/{check.table}")
    if any(step.kind == "finding" or (step.kind == "held" and not run.checks) for step in run.steps):
        found.append('do what stands behind "do next" above, then run it again')
    if any(step.kind == "error" for step in run.steps):
        found.append(
            "look at the error on the run's page; run it again once, and if it comes back report it with that page"
        )
    if not found:
        found.append("look at the run's page; dci doctor says whether the warehouse is whole; then run it again")
    found.append("what was published before is still published")
    return [harmless(line) for line in _distinct(found)]


def _listed(*pairs: tuple[str, str]) -> list[str]:
    return [f"{name + ':':<11} {harmless(value)}" for name, value in pairs if value]


def _more(count: int, word: str, indent: str = "") -> list[str]:
    return [f"{indent}… and {count} more {word}{'' if count == 1 else 's'}"] if count > 0 else []


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"


def _distinct(items: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(items))
