"""Every table of the index carries a small picture and its first rows in the last period of a run, and keeps them."""

from __future__ import annotations

import base64
import re
import shutil
from dataclasses import replace
from pathlib import Path

import dagster as dg
import pytest

from dci_pipeline import glances
from dci_pipeline.defs import metadata
from dci_pipeline.path import path
from dci_pipeline.work import Step, Work
from dci_pipeline_tests.defs.conftest import MONTHS, Launched


def events(work: Work, step: Step) -> list[dg.AssetMaterialization]:
    key = dg.AssetKey([work.index, *step.key])
    with dg.DagsterInstance.from_config(str(work.settings.dagster_home)) as instance:
        found = instance.fetch_materializations(key, limit=100).records
    return [made for record in found if (made := record.asset_materialization) is not None]


def looked_at(work: Work) -> list[Step]:
    return [step for step in path(work.framework) if glances.has_glance(step)]


@pytest.mark.slow
def test_the_last_period_of_a_run_has_a_picture_and_rows(launched: Launched) -> None:
    work = launched.work
    bare: list[str] = []
    for step in looked_at(work):
        made = events(work, step)
        shown = [event for event in made if metadata.GLANCE in event.metadata]
        if not shown:
            bare.append("/".join(step.key))
            continue
        assert len(shown) == 1, step.key
        assert shown[0].partition in (None, MONTHS[-1].key, MONTHS[-1].year().key), step.key
        text = str(shown[0].metadata[metadata.GLANCE].value)
        (image,) = re.findall(r"^!\[[^\]]*\]\(data:image/png;base64,([^)]+)\)", text)
        assert base64.b64decode(image).startswith(b"\x89PNG")
        assert len(base64.b64decode(image)) <= glances.MOST_BYTES
        assert re.search(r"^\| .+ \|\n\| --- \|", text, flags=re.MULTILINE), step.key
    # Tables without a row have nothing to show.
    assert all(_rows(work, name) == 0 for name in bare), bare


def _rows(work: Work, name: str) -> int:
    stage, table = name.split("/")
    step = next(step for step in path(work.framework) if step.key == (stage, table))
    period = {"period": MONTHS[-1], "year": MONTHS[-1].year()}.get(step.scope)
    assert step.key != glances.CATALOGUE
    frame = glances._frame(work, step, period)
    return 0 if frame is None else frame.height


@pytest.mark.slow
def test_what_has_not_changed_keeps_its_picture_and_is_not_drawn_again(
    launched: Launched, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dci_pipeline.defs.launch import run_in_process

    shutil.copytree(launched.work.settings.warehouse, tmp_path / "warehouse", symlinks=True)
    work = Work(replace(launched.work.settings, warehouse=tmp_path / "warehouse"), "dci")
    step = next(step for step in looked_at(work) if step.key[1] == work.period_table)
    before = [event for event in events(work, step) if metadata.GLANCE in event.metadata]

    def again(*_: object) -> None:
        raise AssertionError("drawn again")

    monkeypatch.setattr(glances, "glance", again)
    run_in_process(work, MONTHS[-1:])
    newest = events(work, step)[0]
    assert newest.metadata["state"].value == "unchanged"
    assert newest.metadata[metadata.GLANCE] == before[0].metadata[metadata.GLANCE]


@pytest.mark.slow
def test_what_cannot_be_looked_at_fails_no_run(
    launched: Launched, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dci_pipeline.defs.launch import run_in_process

    shutil.copytree(launched.work.settings.warehouse, tmp_path / "warehouse", symlinks=True)
    work = Work(replace(launched.work.settings, warehouse=tmp_path / "warehouse"), "dci")
    step = next(step for step in looked_at(work) if step.key[1] == work.period_table)
    for part in ("part.parquet", "stamp.json"):
        work.warehouse.layout.table(*step.key, MONTHS[-1]).with_name(part).unlink()

    def broken(*_: object) -> None:
        raise ZeroDivisionError("no such picture")

    monkeypatch.setattr(glances, "glance", broken)
    report = run_in_process(work, MONTHS[-1:])
    assert report.held == {}
    newest = events(work, step)[0]
    assert newest.metadata["state"].value != "unchanged" and metadata.GLANCE not in newest.metadata


@pytest.mark.slow
def test_a_picture_that_cannot_be_drawn_leaves_the_rows(launched: Launched, monkeypatch: pytest.MonkeyPatch) -> None:
    from dci_pipeline.report import drawing

    monkeypatch.setattr(drawing, "FONT_PACKAGE", "no_such_package_of_fonts")
    drawing._drawer.cache_clear()
    step = next(step for step in looked_at(launched.work) if step.key[1] == launched.work.period_table)
    try:
        found = glances.glance(launched.work, step, MONTHS[0])
    finally:
        drawing._drawer.cache_clear()
    assert found is not None and found.picture is None
    assert found.markdown == found.rows != ""


@pytest.mark.slow
def test_a_partition_that_is_not_there_has_none(launched: Launched) -> None:
    step = next(step for step in looked_at(launched.work) if step.key[1] == launched.work.period_table)
    assert glances.glance(launched.work, step, MONTHS[0].shift(-12)) is None
