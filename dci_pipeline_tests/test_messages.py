"""What a message says, that it is bounded, and that nothing of a partner's file acts on who reads it."""

from __future__ import annotations

from dci_pipeline.messages import FailedCheck, FailedRun, FailedStep, failed_run
from dci_pipeline.plain_text import cell, harmless

BROKEN = {
    "partner": "pay_a",
    "rule": "city.known",
    "severity": "error",
    "unexpected": 60,
    "rows": 500,
    "percent": 12.0,
    "threshold": 1.0,
}
HOSTILE = '=HYPERLINK("http://evil.example")<script>alert(1)</script> @channel `x` [a](b) \x1b[31m\u202e\r\nBcc: x'


def run(checks: list[FailedCheck] | None = None, steps: list[FailedStep] | None = None, says: str = "") -> FailedRun:
    return FailedRun(
        run="1f0c",
        index="dci",
        job="dci_periods",
        started_by="schedule dci_periods_when_due",
        periods="2018-03",
        link="https://ui.example.org/runs/1f0c",
        checks=checks or [],
        steps=steps or [],
        says=says,
    )


def check(rows: int = 3, value: str = "玉田") -> FailedCheck:
    offending = [{"file": "a.csv", "file_row": number, "rules": "city.known", "city": value} for number in range(rows)]
    says = "60 of 500 rows rejected; city.known of pay_a: 60 rows, 12.00 % of at most 1 %"
    return FailedCheck(
        "validation",
        "transactions",
        "2018-03",
        "contract_rules",
        says,
        {"broken rules": [BROKEN], "offending rows": offending},
    )


def test_a_held_month_is_told_with_rule_counts_rows_and_what_to_do() -> None:
    held = FailedStep("marts/index_month", "dci/marts/index_month: held back: 2018-03\nlong reason", "held")
    message = failed_run(run([check()], [held]))
    assert message.subject == "[dci] 运行失败 run failed: transactions 2018-03 city.known"
    assert message.key == "failed-run-1f0c"
    assert message.text == (
        "A run of dci failed: transactions 2018-03 city.known\n"
        "\n"
        "index:      dci\n"
        "job:        dci_periods\n"
        "period:     2018-03\n"
        "started by: schedule dci_periods_when_due\n"
        "run:        1f0c\n"
        "look at:    https://ui.example.org/runs/1f0c\n"
        "\n"
        "validation/transactions 2018-03: the check contract_rules failed\n"
        "  60 of 500 rows rejected; city.known of pay_a: 60 rows, 12.00 % of at most 1 %\n"
        "\n"
        "  broken rules\n"
        "  1. partner: pay_a; rule: city.known; severity: error; unexpected: 60; rows: 500; percent: 12; "
        "threshold: 1\n"
        "\n"
        "  offending rows\n"
        "  1. file: a.csv; file_row: 0; rules: city.known; city: 玉田\n"
        "  2. file: a.csv; file_row: 1; rules: city.known; city: 玉田\n"
        "  3. file: a.csv; file_row: 2; rules: city.known; city: 玉田\n"
        "\n"
        "stopped: marts/index_month\n"
        "\n"
        "What to do next\n"
        "- ask pay_a for a corrected delivery of transactions 2018-03; when it is there: dci land FILE --index dci "
        "--feed transactions --partner pay_a --period 2018-03, then dci run --index dci --months 2018-03\n"
        "- what was published before is still published\n"
    )


def test_what_a_partner_wrote_is_shown_and_acts_on_nobody() -> None:
    message = failed_run(run([check(value=HOSTILE)], [FailedStep(HOSTILE, HOSTILE, "error")], says=HOSTILE))
    ours = message.text.replace("https://ui.example.org/runs/1f0c", "")
    for trick in ("<", ">", "://", "@", "`", "](", "\x1b", "\u202e", "\r", "\nBcc"):
        assert trick not in ours and trick not in message.subject, trick
    assert "city: '=HYPERLINK" in message.text
    assert "\\x1b[31m" in message.text
    assert all(line.isprintable() for line in message.text.split("\n"))


def test_it_stays_short_whatever_failed() -> None:
    checks = [check(rows=1000, value="x" * 10_000) for _ in range(200)]
    steps = [
        FailedStep(f"marts/t{number}", f"reason {number}\n" + "y" * 10_000 + "\nz" * 500, "error")
        for number in range(99)
    ]
    message = failed_run(run(checks, steps))
    assert len(message.text) < 30_000 and len(message.subject) <= 150
    assert "… and 195 more failed checks" in message.text
    assert "… and 990 more rows" in message.text
    assert "… and 94 more other reasons" in message.text


def test_an_error_of_the_program_and_a_finding_are_told_apart() -> None:
    error = failed_run(run(steps=[FailedStep("index/points", "ZeroDivisionError: division by zero", "error")]))
    assert "ZeroDivisionError: division by zero" in error.text and "report it with that page" in error.text
    finding = failed_run(run(steps=[FailedStep("index/points", "x.csv: damaged\n  do next:  delete it", "finding")]))
    assert '"do next" above' in finding.text and "report it" not in finding.text


def test_a_run_whose_process_died_says_so() -> None:
    message = failed_run(run(says="This run has been marked as failed from outside the execution context."))
    assert "marked as failed from outside" in message.text and "dci doctor" in message.text
    assert message.subject.endswith("dci_periods 2018-03")


def test_cells_are_safe_in_a_sheet_and_numbers_stay_numbers() -> None:
    assert [cell(value, 20) for value in ("=1+1", "+1", "-2", "@x", -2, 3.5, None)] == [
        "'=1+1",
        "'+1",
        "'-2",
        "'\\x40x",
        "-2",
        "3.5",
        "",
    ]
    assert cell("a" * 30, 10) == "a" * 9 + "…"
    assert harmless("www.evil.example") == "www\\x2eevil.example"
