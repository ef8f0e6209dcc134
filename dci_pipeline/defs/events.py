"""What the engine is told of one partition: a materialisation of its own, and the result of every check, aimed at it.

A single run over a range of partitions has one output, and from it the engine would record every partition of the
range, also those held back, all with one data version. There is no public way to tell them apart yet (dagster issues
17836, 34013), so the names used for it here are the engine's own; tests notice when they change their meaning.
"""

from __future__ import annotations

from collections.abc import Mapping

import dagster as dg
from dagster._core.definitions.asset_checks.asset_check_evaluation import AssetCheckEvaluationTargetMaterializationData
from dagster._core.definitions.data_version import (
    CODE_VERSION_TAG,
    DATA_VERSION_IS_USER_PROVIDED_TAG,
    DATA_VERSION_TAG,
    DEFAULT_DATA_VERSION,
    NULL_EVENT_POINTER,
    get_input_data_version_tag,
    get_input_event_pointer_tag,
)
from dagster._core.definitions.source_asset import SYSTEM_METADATA_KEY_SOURCE_ASSET_OBSERVATION

from dci_pipeline.defs import metadata
from dci_pipeline.warehouse.layout import Layout
from dci_pipeline.warehouse.stamps import code_version
from dci_pipeline.work import Outcome, Step, Work

# Metadata of an output: its events were emitted in the body, the engine adds none.
OWN_EVENTS = {SYSTEM_METADATA_KEY_SOURCE_ASSET_OBSERVATION: True}
_ROWS = "dagster/row_count"


def inputs(context: dg.AssetExecutionContext, keys: list[dg.AssetKey]) -> dict[str, str]:
    """Tags that name the state of the inputs read, by which the UI tells what is out of sync with them."""
    tags = {CODE_VERSION_TAG: code_version()}
    records = (
        {
            record.asset_entry.asset_key: record.asset_entry.last_materialization_record
            for record in context.instance.get_asset_records(keys)
        }
        if keys
        else {}
    )
    for key in keys:
        last = records.get(key)
        seen = (last.asset_materialization.tags or {}) if last and last.asset_materialization else {}
        tags[get_input_data_version_tag(key)] = seen.get(DATA_VERSION_TAG, DEFAULT_DATA_VERSION.value)
        tags[get_input_event_pointer_tag(key)] = str(last.storage_id) if last else NULL_EVENT_POINTER
    return tags


def materialised(
    context: dg.AssetExecutionContext,
    work: Work,
    step: Step,
    outcome: Outcome,
    *,
    key: str | None,
    tags: dict[str, str],
    shown: bool,
) -> dg.AssetMaterialization:
    """The materialisation of one partition, with its own rows, data version and facts; `shown`: with a picture."""
    before = _same_before(context, key, outcome) if outcome.rows < 0 or outcome.state == "unchanged" else {}
    rows = outcome.rows if outcome.rows >= 0 else int(str(before[_ROWS].value)) if _ROWS in before else -1
    # The UI draws the lineage of columns from the last materialisation, not from the definition.
    defined = context.assets_def.metadata_by_key[context.asset_key]
    drawn = {name: defined[name] for name in (metadata.LINEAGE,) if name in defined}
    return dg.AssetMaterialization(
        asset_key=context.asset_key,
        partition=key,
        metadata={
            **metadata.of_outcome(work.warehouse.layout, step, outcome, rows=rows),
            **(_glance(context, work, step, outcome, before) if shown else {}),
            **drawn,
        },
        tags={**tags, DATA_VERSION_TAG: outcome.data_version, DATA_VERSION_IS_USER_PROVIDED_TAG: "true"},
    )


def arrived(
    asset_key: dg.AssetKey, layout: Layout, step: Step, outcome: Outcome, *, key: str
) -> dg.AssetMaterialization:
    """The materialisation of one partition of a feed by what has arrived, outside of any run."""
    return dg.AssetMaterialization(
        asset_key=asset_key,
        partition=key,
        metadata=metadata.of_outcome(layout, step, outcome, rows=outcome.rows),
        tags={
            CODE_VERSION_TAG: code_version(),
            DATA_VERSION_TAG: outcome.data_version,
            DATA_VERSION_IS_USER_PROVIDED_TAG: "true",
        },
    )


def evaluations(
    context: dg.AssetExecutionContext, outcome: Outcome, *, key: str | None
) -> list[dg.AssetCheckEvaluation]:
    """The results of the checks of one partition that has just been materialised."""
    if not outcome.checks:
        return []
    last = _last(context, key)
    target = (
        AssetCheckEvaluationTargetMaterializationData(
            storage_id=last.storage_id, run_id=last.run_id, timestamp=last.timestamp
        )
        if last
        else None
    )
    return [
        dg.AssetCheckEvaluation(
            asset_key=context.asset_key,
            check_name=check.name,
            passed=check.passed,
            blocking=True,
            partition=key,
            severity=dg.AssetCheckSeverity.ERROR if check.severity == "error" else dg.AssetCheckSeverity.WARN,
            description=check.says,
            metadata=metadata.of_check(check),
            target_materialization_data=target,
        )
        for check in outcome.checks
    ]


def _glance(
    context: dg.AssetExecutionContext, work: Work, step: Step, outcome: Outcome, before: Mapping[str, dg.MetadataValue]
) -> dict[str, dg.MetadataValue]:
    """What the table looks like: drawn anew unless it is what it was. What cannot be drawn is no reason to fail."""
    if metadata.GLANCE in before:
        return {metadata.GLANCE: before[metadata.GLANCE]}
    try:
        return metadata.of_glance(work, step, outcome.period)
    except Exception as error:
        context.log.warning(f"{'/'.join(step.key)} {outcome.period or ''}: nothing to look at: {error}")
        return {}


def _same_before(
    context: dg.AssetExecutionContext, key: str | None, outcome: Outcome
) -> Mapping[str, dg.MetadataValue]:
    """The metadata last recorded for this very content: a step that had nothing to do has not counted."""
    last = _last(context, key)
    before = last.asset_materialization if last else None
    if before is None or (before.tags or {}).get(DATA_VERSION_TAG) != outcome.data_version:
        return {}
    return before.metadata


def _last(context: dg.AssetExecutionContext, key: str | None) -> dg.EventLogRecord | None:
    found = context.instance.fetch_materializations(
        dg.AssetRecordsFilter(asset_key=context.asset_key, asset_partitions=[key] if key else None), limit=1
    )
    return found.records[0] if found.records else None
