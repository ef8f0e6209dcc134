"""Which executor a run has: by setting, slices are made in processes beside the run's own, or in pods.

Only slices are worth a process each, which takes seconds to start; every other step is done where the run is. The
engine's own executors send all steps away or none, so theirs are used for the slices alone.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from functools import cache

import dagster as dg
from dagster._core.definitions.executor_definition import multiple_process_executor_requirements
from dagster._core.events import DagsterEvent
from dagster._core.execution.api import create_execution_plan, execute_plan_iterator
from dagster._core.execution.context.system import PlanOrchestrationContext
from dagster._core.execution.plan.plan import ExecutionPlan
from dagster._core.execution.retries import RetryMode
from dagster._core.executor.step_delegating import (
    CheckStepHealthResult,
    StepDelegatingExecutor,
    StepHandler,
    StepHandlerContext,
)

from dci_pipeline.defs.processes import Processes, step_of
from dci_pipeline.findings import Finding
from dci_pipeline.settings import Settings

# The tag of a step that may run elsewhere.
SLICE = "dci/slice"
# How often the run looks at what its processes have done.
_SECONDS = 0.1


@cache
def executor_of(settings: Settings) -> dg.ExecutorDefinition:
    """The executor of the settings, the same one for every index. Nothing of Kubernetes is imported but for `k8s`."""
    if settings.executor == "multiprocess":
        return _multiprocess(settings)
    return _k8s(settings) if settings.executor == "k8s" else dg.in_process_executor


def _multiprocess(settings: Settings) -> dg.ExecutorDefinition:
    @dg.executor(name="slices_in_processes", requirements=multiple_process_executor_requirements())
    def executor(_: dg.InitExecutorContext) -> dg.Executor:
        processes = Processes(workers=settings.workers, memory=settings.engine_memory)
        return _Ending(
            SlicesElsewhere(processes),
            retries=RetryMode.DISABLED,
            sleep_seconds=_SECONDS,
            check_step_health_interval_seconds=1,
            max_concurrent=settings.workers,
        )

    return executor


def _k8s(settings: Settings) -> dg.ExecutorDefinition:
    """The executor of dagster-k8s for slices, with what DCI_EXECUTOR_CONFIG says, and this process for the rest."""
    try:
        from dagster_k8s import k8s_job_executor
    except ImportError as error:
        raise Finding(
            "the library for pods is not installed",
            where="DCI_EXECUTOR",
            found=str(error),
            expected="dagster-k8s",
            todo="pip install 'dci_pipeline[k8s]', or another DCI_EXECUTOR",
        ) from error
    from dci_pipeline.data_files import read_yaml

    pods = k8s_job_executor.executor_creation_fn
    assert pods is not None

    def create(context: dg.InitExecutorContext) -> dg.Executor:
        refuse_outside(settings, context.instance)
        made = pods(context)
        assert isinstance(made, StepDelegatingExecutor)
        made._step_handler = SlicesElsewhere(made._step_handler)
        return made

    executor = dg.ExecutorDefinition(
        name="slices_in_pods",
        config_schema=k8s_job_executor.config_schema,  # pyright: ignore[reportArgumentType] - one made already is taken
        requirements=multiple_process_executor_requirements(),
        executor_creation_fn=create,
    )
    config = read_yaml(settings.executor_config) if settings.executor_config else {}
    return executor.configured(dict(config), name="slices_in_pods")


def refuse_outside(settings: Settings, instance: dg.DagsterInstance) -> None:
    """Raises Finding for a run that is to use pods and is none of the cluster's: its record is not seen from there."""
    if settings.executor != "k8s":
        return
    from dagster_k8s import K8sRunLauncher

    if not isinstance(instance.run_launcher, K8sRunLauncher):
        raise Finding(
            "this run is not one of the cluster's",
            where="DCI_EXECUTOR",
            found=f"a record of runs with {type(instance.run_launcher).__name__}",
            expected="K8sRunLauncher, as deploy/kubernetes/dagster.yaml has it",
            todo="start the run in the cluster's UI, or set DCI_EXECUTOR=in_process here",
        )


def was_lost(event: dg.DagsterEvent) -> bool:
    """Whether a step failed because nobody was at it any more, and not by anything it met."""
    error = event.step_failure_data.error
    return error is not None and error.cls_name is None and "failed health check" in error.message


class _Ending(StepDelegatingExecutor):
    """Leaves no process behind, however the run ends."""

    def execute(self, plan_context: PlanOrchestrationContext, execution_plan: ExecutionPlan) -> Generator[DagsterEvent]:
        assert isinstance(self._step_handler, SlicesElsewhere)
        assert isinstance(self._step_handler.elsewhere, Processes)
        processes = self._step_handler.elsewhere
        try:
            yield from super().execute(plan_context, execution_plan)
        except BaseException:
            processes.terminate()
            raise
        finally:
            processes.wait()


class SlicesElsewhere(StepHandler):
    """Gives the steps that make a slice to another handler, and does every other one at once, in this process."""

    def __init__(self, elsewhere: StepHandler):
        super().__init__()
        self.elsewhere = elsewhere

    @property
    def name(self) -> str:
        return f"{self.elsewhere.name} for slices, this process for the rest"

    def launch_step(self, step_handler_context: StepHandlerContext) -> Iterator[DagsterEvent]:
        if _is_slice(step_handler_context):
            yield from self.elsewhere.launch_step(step_handler_context)
            return
        args, run = step_handler_context.execute_step_args, step_handler_context.dagster_run
        key = step_of(step_handler_context)
        job = step_handler_context.get_step_context(key).job
        plan = create_execution_plan(
            job, run_config=run.run_config, step_keys_to_execute=[key], known_state=args.known_state
        )
        yield from execute_plan_iterator(
            plan, job, run, step_handler_context.instance, retry_mode=args.retry_mode, run_config=run.run_config
        )

    def check_step_health(self, step_handler_context: StepHandlerContext) -> CheckStepHealthResult:
        if _is_slice(step_handler_context):
            return self.elsewhere.check_step_health(step_handler_context)
        return CheckStepHealthResult.healthy()

    def terminate_step(self, step_handler_context: StepHandlerContext) -> Iterator[DagsterEvent]:
        if _is_slice(step_handler_context):
            yield from self.elsewhere.terminate_step(step_handler_context)


def _is_slice(context: StepHandlerContext) -> bool:
    return SLICE in context.step_tags[step_of(context)]
