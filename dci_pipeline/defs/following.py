"""What follows by itself: whatever new deliveries, a finished period or other contracts have put out of date.

One sensor per index. At each look it starts the next run of a refresh, with the tables and partitions that the plan
names and no others, and waits for it to end: periods, then halves and years, then the catalogue, as `dci run` does.
Conditions on every table would not do: the engine takes offsets from a partition to be stretches, so that they would
ask for every period between one and the same a year later, and for each of them again when a link is looked at.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

import dagster as dg

from dci_pipeline import plan, refresh
from dci_pipeline.defs.assets import asset_key
from dci_pipeline.defs.jobs import job_names
from dci_pipeline.defs.partitions import Partitions, range_tags
from dci_pipeline.periods import Period
from dci_pipeline.plan import Batch, Plan
from dci_pipeline.settings import automation, looks_every
from dci_pipeline.warehouse.stamps import code_version
from dci_pipeline.work import Work

_SECONDS = 10
# Results can put more out of date than was foreseen; a run that fails each time must not be started for ever.
_ROUNDS = 3
_ENDED = (dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED)


@dataclass
class _Memory:
    """What the sensor remembers from look to look.

    marks: of every period, its deliveries and its shares as last seen. ahead: the runs still to start, as [job's scope,
    tables, periods]. changed: the periods a refresh that goes on was started for; covered: those its runs have written.
    rounds: how often what is left over has been looked for.
    """

    marks: dict[str, str] = field(default_factory=dict[str, str])
    contracts: str = ""
    ahead: list[list[list[str]]] = field(default_factory=list[list[list[str]]])
    changed: list[str] = field(default_factory=list[str])
    covered: list[str] = field(default_factory=list[str])
    rounds: int = 0
    number: int = 0

    @classmethod
    def of(cls, cursor: str | None) -> _Memory:
        return cls(**json.loads(cursor)) if cursor else cls()

    def text(self) -> str:
        return json.dumps(asdict(self), ensure_ascii=False, separators=(",", ":"))


def following(work: Work, partitions: Partitions, jobs: Sequence[dg.JobDefinition | object]) -> dg.SensorDefinition:
    """The sensor that keeps an index up to date."""
    cadence = work.framework.cadence

    @dg.sensor(
        name=f"{work.index}_follows",
        jobs=list(jobs),  # pyright: ignore[reportArgumentType] - jobs of assets are resolved later
        minimum_interval_seconds=looks_every(_SECONDS),
        default_status=dg.DefaultSensorStatus.RUNNING if automation() else dg.DefaultSensorStatus.STOPPED,
        tags={"index": work.index},
        description=f"Starts what new deliveries, a finished {cadence} or other contracts have put out of date: "
        f"{cadence}s, then halves and years, then the catalogue.",
    )
    def follows(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        return _look(context, work, partitions)

    return follows


def _look(context: dg.SensorEvaluationContext, work: Work, partitions: Partitions) -> dg.SensorResult | dg.SkipReason:
    busy = _running(context.instance, work.index)
    if busy is not None:
        return dg.SkipReason(f"waits for run {busy.run_id} of {busy.job_name}")
    memory = _Memory.of(context.cursor)
    if not memory.ahead:
        _think(work, partitions, memory)
    if not memory.ahead:
        return dg.SensorResult(skip_reason="everything that is complete is up to date", cursor=memory.text())
    request = _request(work, partitions, memory)
    return dg.SensorResult(run_requests=[request], cursor=memory.text())


def _running(instance: dg.DagsterInstance, index: str) -> dg.DagsterRun | None:
    """A run of the index that has not ended, if there is one."""
    under_way = [status for status in dg.DagsterRunStatus if status not in _ENDED]
    runs = instance.get_runs(filters=dg.RunsFilter(tags={"index": index}, statuses=under_way), limit=1)
    return runs[0] if runs else None


def _think(work: Work, partitions: Partitions, memory: _Memory) -> None:
    """Fills `ahead` with the runs for what has changed since the last look, or for what the last ones left over."""
    framework, cadence = work.framework, work.framework.cadence
    delivered = _delivered(work, partitions)
    computed = work.warehouse.existing("normalise", "shares", delivered)
    if memory.changed:
        found: Plan = {}
        if memory.rounds < _ROUNDS:
            memory.rounds += 1
            found = plan.left_over(work, [framework.period(text) for text in memory.changed], computed, {})
    else:
        found = _news(work, delivered, computed, memory)
    memory.ahead = [
        _written(batch) for scope in job_names(work.index) for batch in plan.batches(framework, found, scope)
    ]
    parts = {part for partitions_ in found.values() for part in partitions_ if part and part.cadence == cadence}
    memory.covered = sorted({*memory.covered, *map(str, parts)})
    if not memory.ahead:
        # What the runs of this refresh have written is no news. What others have written meanwhile is.
        for period in delivered:
            if str(period) in memory.covered:
                memory.marks[str(period)] = f"{_sent(memory, period)}|{_shares(work, period)}"
        memory.changed, memory.covered, memory.rounds = [], [], 0


def _news(work: Work, delivered: Sequence[Period], computed: Sequence[Period], memory: _Memory) -> Plan:
    """The plan for periods that have other deliveries or other shares than when last seen, or for other contracts."""
    from dci_pipeline.warehouse import deliveries

    framework = work.framework
    structure = f"{framework.sha256[:12]} {framework.corrections_sha256[:12]} {work.geography.sha256[:12]}"
    contracts = f"{structure} {_tables(work)} {code_version()}"
    sent = deliveries.marks(work.warehouse.layout, sorted(framework.feeds), delivered)
    marks = {
        period: f"{hashlib.sha256(mark.encode()).hexdigest()[:12]}|{_shares(work, period)}"
        for period, mark in sent.items()
    }
    new = [period for period in delivered if memory.marks.get(str(period)) != marks[period]]
    # A period that waits for a feed is looked at again when it has come; a provisional one when more has come.
    fit = [period for period in new if period in computed or not refresh.waits_for(work, period)]
    ready = sorted({*computed, *fit})
    looked_at = ready if contracts != memory.contracts else fit
    memory.marks = {str(period): mark for period, mark in marks.items()}
    memory.contracts = contracts
    memory.changed = [str(period) for period in looked_at]
    # Validation has said already what it holds back; to try again would only say it twice.
    return plan.due(work, looked_at, ready, try_held=False) if looked_at else {}


def _delivered(work: Work, partitions: Partitions) -> list[Period]:
    """The periods of which anything has been delivered and that are over."""
    from dci_pipeline.warehouse import deliveries

    framework, known = work.framework, set(partitions.periods.get_partition_keys())
    found = {
        period
        for feed in framework.feeds
        for period in deliveries.periods_delivered(work.warehouse.layout, feed, framework.cadence)
    }
    return sorted(period for period in found if partitions.key(period) in known)


def _shares(work: Work, period: Period) -> int:
    return work.warehouse.written("normalise", "shares", period)


def _sent(memory: _Memory, period: Period) -> str:
    return memory.marks.get(str(period), "").partition("|")[0]


def _tables(work: Work) -> str:
    """The contracts of the published tables as one mark."""
    said = " ".join(f"{name} {table.sha256}" for name, table in sorted(work.framework.tables.items()))
    return hashlib.sha256(said.encode()).hexdigest()[:12]


def _written(batch: Batch) -> list[list[str]]:
    return [[batch.scope], ["/".join(key) for key in batch.tables], [str(period) for period in batch.periods]]


def _request(work: Work, partitions: Partitions, memory: _Memory) -> dg.RunRequest:
    (scope,), tables, texts = memory.ahead.pop(0)
    memory.number += 1
    periods = [partitions.period(text, "year") if scope == "year" else work.framework.period(text) for text in texts]
    return dg.RunRequest(
        run_key=f"{work.index}-{memory.number}-{hashlib.sha256(memory.text().encode()).hexdigest()[:12]}",
        job_name=job_names(work.index)[scope],
        partition_key=partitions.key(periods[0]) if len(periods) == 1 else None,
        asset_selection=[asset_key(work.index, (stage, name)) for stage, name in (text.split("/") for text in tables)],
        tags=range_tags(partitions, periods),
    )
