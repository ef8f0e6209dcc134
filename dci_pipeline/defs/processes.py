"""Steps in processes of their own on this machine, each with its share of the memory and the cores.

They are forked from a server that has imported the slowest library and nothing that computes: no thread of an engine is
there to be lost, and what a process costs before its step begins is a second or two and not eight.
"""

from __future__ import annotations

import multiprocessing
import os
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from multiprocessing.context import ForkServerProcess
from typing import IO

import dagster as dg
from dagster._core.events import DagsterEvent
from dagster._core.executor.step_delegating import CheckStepHealthResult, StepHandler, StepHandlerContext

_LOADED = ["dagster._cli.api", "great_expectations"]
# Of what a process that failed has said last.
_SAID = 2000
_ENDS_WITHIN = 30.0
_ENDED = {dg.DagsterEventType.STEP_SUCCESS, dg.DagsterEventType.STEP_FAILURE, dg.DagsterEventType.STEP_SKIPPED}


@dataclass(frozen=True)
class _Process:
    process: ForkServerProcess
    said: IO[bytes]


def step_of(context: StepHandlerContext) -> str:
    """The key of the one step a handler is asked about."""
    return next(iter(context.execute_step_args.step_keys_to_execute or ()))


class Processes(StepHandler):
    """Does each step as `dagster api execute_step` does, with the environment of this process."""

    def __init__(self, *, workers: int, memory: int):
        super().__init__()
        self._share = {
            "DCI_ENGINE_MEMORY": str(memory // workers // 1_000_000),
            "DCI_WORKERS": "1",
            "POLARS_MAX_THREADS": str(max(len(os.sched_getaffinity(0)) // workers, 1)),
        }
        self._started: dict[str, _Process] = {}
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(_LOADED)

    @property
    def name(self) -> str:
        return "processes of this machine"

    def launch_step(self, step_handler_context: StepHandlerContext) -> Iterator[DagsterEvent]:
        args = step_handler_context.execute_step_args
        key = step_of(step_handler_context)
        told = {str(item["name"]): str(item["value"]) for item in args.get_command_env()}
        said = tempfile.NamedTemporaryFile()  # noqa: SIM115 - kept until the process has ended
        process = self._context.Process(
            target=_execute, args=({**os.environ, **self._share, **told}, said.name), name=f"step {key}"
        )
        process.start()
        self._started[key] = _Process(process, said)
        yield DagsterEvent.step_worker_starting(
            step_handler_context.get_step_context(key),
            message=f'Executing step "{key}" in process {process.pid}.',
            metadata={"pid": dg.MetadataValue.int(process.pid or 0)},
        )

    def check_step_health(self, step_handler_context: StepHandlerContext) -> CheckStepHealthResult:
        """Unhealthy when the process has ended and the step has not: its last word is in the record before it ends."""
        key = step_of(step_handler_context)
        started = self._started.get(key)
        if started is None:
            return CheckStepHealthResult.unhealthy("its process belongs to a run that was broken off")
        code = started.process.exitcode
        if code is None or self._has_ended(step_handler_context, key):
            return CheckStepHealthResult.healthy()
        how = f"was killed by signal {-code}, as when memory runs out" if code < 0 else f"ended with code {code}"
        started.said.seek(max(started.said.seek(0, os.SEEK_END) - _SAID, 0))
        said = started.said.read().decode(errors="replace").strip()
        reason = f"process {started.process.pid} {how} before the slice was made"
        return CheckStepHealthResult.unhealthy(reason + (f"; it said last: {said}" if said else ""))

    def terminate_step(self, step_handler_context: StepHandlerContext) -> Iterator[DagsterEvent]:
        started = self._started.get(step_of(step_handler_context))
        if started is not None:
            started.process.terminate()
        yield from ()

    def terminate(self) -> None:
        for started in self._started.values():
            started.process.terminate()

    def wait(self) -> None:
        """Until all that was started has ended; what does not end in time is killed."""
        for started in self._started.values():
            started.process.join(_ENDS_WITHIN)
            if started.process.is_alive():
                started.process.kill()
                started.process.join()
            started.said.close()
        self._started.clear()

    @staticmethod
    def _has_ended(context: StepHandlerContext, key: str) -> bool:
        logs = context.instance.all_logs(context.execute_step_args.run_id, of_type=_ENDED)
        return any(entry.dagster_event is not None and entry.dagster_event.step_key == key for entry in logs)


def _execute(environment: Mapping[str, str], said: str) -> None:
    """In the process of a step: with this environment and no other, what it prints into the file."""
    os.environ.clear()
    os.environ.update(environment)
    handle = os.open(said, os.O_WRONLY | os.O_APPEND)
    os.dup2(handle, 1)
    os.dup2(handle, 2)
    from dagster._cli.api import execute_step_command

    execute_step_command.main([], prog_name="dagster")
