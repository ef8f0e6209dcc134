"""`dci` in a process of its own, forked from one that has loaded the libraries, which takes longer than the command.

The process has an environment, a working directory and an output of its own, ends with the command's exit code and
takes signals as one that was started from a shell.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import chdir, contextmanager
from multiprocessing.context import ForkServerContext
from pathlib import Path

from dci_pipeline_tests.conftest import PROJECT


def warm(*more: str) -> ForkServerContext:
    """Where processes are forked that have the libraries loaded, and more of them if it is the first that asks."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([*more, "dci_pipeline_tests.loaded"])
    return context


class Command:
    """A command at work, with what it has said so far in a file."""

    def __init__(self, words: tuple[str, ...], environment: Mapping[str, str]):
        with tempfile.NamedTemporaryFile(prefix="dci-said-", delete=False) as said:
            self._said = Path(said.name)
        self._process = warm().Process(target=_run, args=(words, dict(environment), str(self._said)))
        # The server of the forks begins with the first of them, and finds the package from here.
        with chdir(PROJECT):
            self._process.start()

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    @property
    def code(self) -> int | None:
        """The exit code, negative for a signal; nothing while it is at work."""
        return self._process.exitcode

    def send(self, number: signal.Signals) -> None:
        if self._process.is_alive():
            os.kill(self.pid, number)

    def ended(self, within: float) -> tuple[int, str]:
        """Its exit code and all it has said. It is killed when it is still at work after so many seconds."""
        self._process.join(within)
        late = self._process.is_alive()
        if late:
            self._process.kill()
            self._process.join()
        said = self._said.read_text(encoding="utf-8", errors="replace")
        self._said.unlink(missing_ok=True)
        assert not late, f"still at work after {within} s: {said}"
        assert self.code is not None
        return self.code, said


@contextmanager
def running(*words: str, environment: Mapping[str, str]) -> Iterator[Command]:
    """The command while the block goes on; it is asked to end when the block is left before."""
    command = Command(words, environment)
    try:
        yield command
    finally:
        if command.code is None:
            command.send(signal.SIGTERM)
            command.ended(60)


def run(*words: str, environment: Mapping[str, str], within: float = 300) -> tuple[int, str]:
    """The exit code of a command and what it has said on both channels."""
    return Command(words, environment).ended(within)


def _run(words: tuple[str, ...], environment: Mapping[str, str], said: str) -> None:
    handle = os.open(said, os.O_WRONLY | os.O_APPEND)
    for channel in (1, 2):
        os.dup2(handle, channel)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(PROJECT)
    sys.argv = ["dci", *words]
    from dci_pipeline.cli import main

    main()
