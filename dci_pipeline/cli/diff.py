"""`dci diff`: what tells two releases apart, or a release from what is published now."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from dci_pipeline.cli import options, screen
from dci_pipeline.cli.release import said
from dci_pipeline.findings import Finding

EXAMPLES = (
    "Example: dci diff 2020-06 2020-06.r1"
    "\n\nWhat the next release would change: dci diff current working"
    "\n\nFor a note: dci diff 2020-05 2020-06 --markdown > changes.md"
    "\n\nExit code 0 when they are equal, 1 when they differ."
)

First = Annotated[
    str, typer.Argument(metavar="A", show_default=False, help="A release, 'current', or 'working': published now.")
]
Second = Annotated[str, typer.Argument(metavar="B", show_default=False, help="What A is compared with, the same way.")]
AsJson = Annotated[bool, typer.Option("--json", help="Everything as JSON, in the form of diff.json.")]
AsMarkdown = Annotated[bool, typer.Option("--markdown", help="As Markdown, in the form of CHANGES.md.")]


def diff(
    first: First, second: Second, *, json_: AsJson = False, markdown: AsMarkdown = False, index: options.Index = None
) -> None:
    """Compare two states of the published tables by primary key: rows, largest movements, schema, method."""
    from dci_pipeline import releasing
    from dci_pipeline.releases import notes

    if json_ and markdown:
        raise Finding("more than one form of answer", found="--json and --markdown", expected="one of them")
    work = options.open_work(index)
    with screen.progress() as bar:
        task = bar.add_task("", total=None)
        found = releasing.difference(
            work, first, second, progress=lambda at: bar.update(task, description=at[:44].ljust(44))
        )
    if json_:
        typer.echo(json.dumps(found, ensure_ascii=False, indent=1))
    elif markdown:
        typer.echo(
            notes.markdown(found, title=f"{work.framework.name_en}: {found['from']} and {found['to']}"), nl=False
        )
    else:
        said(found)
    if not notes.is_empty(found):
        raise typer.Exit(1)
