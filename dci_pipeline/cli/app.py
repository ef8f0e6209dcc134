"""The `dci` application: its commands in the order of the data's path, its exit codes, and how it says what is wrong.

0 done; 1 a negative verdict (a check failed, a period is held); 2 bad input or usage; 3 somebody else is at it;
70 an error in the program. A traceback is shown only with DCI_LOG=debug.
"""

from __future__ import annotations

import os
import traceback
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from dci_pipeline.cli import (
    alert,
    check,
    collect,
    compare,
    contract,
    corrections,
    demo,
    diff,
    doctor,
    due,
    explain,
    explore,
    export,
    gc,
    impact,
    land,
    published,
    release,
    revisions,
    run,
    screen,
    side_by_side,
    simulate,
    sql,
    top,
    trend,
    ui,
    verify,
)
from dci_pipeline.findings import Conflict, Finding, Held

VERDICT, USAGE, CONFLICT, PROGRAM = 1, 2, 3, 70

PATH, LOOK = "The data's path", "Looking around"


class Commands(TyperGroup):
    """Turns what a command raises into a block of text and an exit code."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except Finding as finding:
            screen.block(finding)
            _debug()
            raise typer.Exit(exit_code(finding)) from None
        except BrokenPipeError:
            raise  # the reader of our output has gone; the library ends quietly
        except OSError as error:
            screen.block(
                Finding(
                    "the system refused",
                    where=str(error.filename or ""),
                    found=error.strerror or str(error),
                    todo="check the path, its permissions and the room left on the disk",
                )
            )
            _debug()
            raise typer.Exit(USAGE) from None
        except Exception as error:
            if type(error).__module__.startswith(("typer", "click")):
                raise
            last = traceback.extract_tb(error.__traceback__)[-1]
            screen.block(
                Finding(
                    "an error in the program, not in your data",
                    found=f"{type(error).__name__}: {error}",
                    where=f"{Path(last.filename).name} line {last.lineno}",
                    todo="run it again with DCI_LOG=debug and report what it prints",
                )
            )
            _debug()
            raise typer.Exit(PROGRAM) from None


def exit_code(finding: Finding) -> int:
    """1 for a period that is held, 3 for a conflict, 2 for the rest."""
    if isinstance(finding, Held):
        return VERDICT
    return CONFLICT if isinstance(finding, Conflict) else USAGE


def _debug() -> None:
    if os.environ.get("DCI_LOG", "").lower() == "debug":
        traceback.print_exc()


def _version(wanted: bool) -> None:
    if wanted:
        from dci_pipeline import __version__

        typer.echo(f"dci {__version__}")
        raise typer.Exit


app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback(epilog="Start with: dci demo\n\nThen: dci sql\n\nEvery command explains itself: dci COMMAND --help")
def dci(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """From partner files to a published index: take in deliveries, check them, compute the index, look at it."""


app.command(rich_help_panel=PATH, epilog=demo.EXAMPLES)(demo.demo)
app.command(rich_help_panel=PATH, epilog=simulate.EXAMPLES)(simulate.simulate)
app.command(rich_help_panel=PATH, epilog=check.EXAMPLES)(check.check)
app.command(rich_help_panel=PATH, epilog=land.EXAMPLES)(land.land)
app.command(rich_help_panel=PATH, epilog=collect.EXAMPLES)(collect.collect)
app.command(rich_help_panel=PATH, epilog=due.EXAMPLES)(due.due)
app.command(rich_help_panel=PATH, epilog=run.EXAMPLES)(run.run)
app.command(rich_help_panel=PATH, epilog=release.EXAMPLES)(release.release)
app.command(rich_help_panel=LOOK, epilog=sql.EXAMPLES)(sql.sql)
app.command(rich_help_panel=LOOK, epilog=top.EXAMPLES)(top.top)
app.command(rich_help_panel=LOOK, epilog=trend.EXAMPLES)(trend.trend)
app.command(rich_help_panel=LOOK, epilog=side_by_side.EXAMPLES)(side_by_side.compare)
app.command(rich_help_panel=LOOK, epilog=explain.EXAMPLES)(explain.explain)
app.command(rich_help_panel=LOOK, epilog=diff.EXAMPLES)(diff.diff)
app.command(rich_help_panel=LOOK, epilog=revisions.EXAMPLES)(revisions.revisions)
app.command(rich_help_panel=LOOK, epilog=verify.EXAMPLES)(verify.verify)
app.command(rich_help_panel=LOOK, epilog=impact.EXAMPLES)(impact.impact)
app.command("compare-methods", rich_help_panel=LOOK, epilog=compare.EXAMPLES)(compare.compare_methods)
app.command(rich_help_panel=LOOK, epilog=published.EXAMPLES)(published.published)
app.command(rich_help_panel=LOOK, epilog=explore.EXAMPLES)(explore.explore)
app.add_typer(export.commands, name="export", rich_help_panel=LOOK)
app.command(rich_help_panel=LOOK, epilog=ui.EXAMPLES)(ui.ui)
app.command(rich_help_panel=LOOK, epilog=alert.EXAMPLES)(alert.alert)
app.add_typer(contract.commands, name="contract", rich_help_panel=LOOK)
app.command(rich_help_panel=LOOK, epilog=corrections.EXAMPLES)(corrections.corrections)
app.command(rich_help_panel=LOOK, epilog=doctor.EXAMPLES)(doctor.doctor)
app.command(rich_help_panel=LOOK, epilog=gc.EXAMPLES)(gc.gc)
