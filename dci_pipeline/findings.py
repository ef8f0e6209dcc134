"""What the system says when something is wrong: found, expected, where, and what to do next.

Every error a person may have to act on is a Finding. A traceback is for programming mistakes only.
"""

from __future__ import annotations


class Finding(Exception):
    """Bad input or an impossible request, worded for the person who has to mend it.

    `where` names the file, row and column as the reader knows them; `found` and `expected` are set side by side;
    `todo` is the next step. The text of the exception is all four.
    """

    def __init__(self, problem: str, *, where: str = "", found: object = None, expected: object = None, todo: str = ""):
        self.problem = problem
        self.where = where
        self.found = found
        self.expected = expected
        self.todo = todo
        super().__init__(str(self))

    def __str__(self) -> str:
        head = f"{self.where}: {self.problem}" if self.where else self.problem
        lines = [head]
        if self.found is not None:
            lines.append(f"  found:    {self.found}")
        if self.expected is not None:
            lines.append(f"  expected: {self.expected}")
        if self.todo:
            lines.append(f"  do next:  {self.todo}")
        return "\n".join(lines)

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (self.problem, self.where, self.found, self.expected, self.todo))


def _rebuild(problem: str, where: str, found: object, expected: object, todo: str) -> Finding:
    return Finding(problem, where=where, found=found, expected=expected, todo=todo)


class Held(Finding):
    """A period that may not go on: a blocking check failed or an input has not arrived. Nothing is broken."""


class Conflict(Finding):
    """Somebody else is doing the same work, or the inputs changed underneath: try again."""


class Unfit(Finding):
    """The warehouse itself, not what was brought to it: its disk full or read-only, a file of it damaged."""


class Unanswered(Unfit):
    """The warehouse's storage did not answer, which may pass by itself."""
