"""The address of an engine elsewhere: taken from the environment, its parameters repeated nowhere."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from dci_pipeline import engines
from dci_pipeline.findings import Finding
from dci_pipeline.settings import read_settings
from dci_pipeline_tests.conftest import PROJECT

SECRET = "s3cret-of-the-test"


@pytest.mark.parametrize(
    ("given", "engine", "parameters"),
    [
        ("sc://127.0.0.1:15002", "sc://127.0.0.1:15002", ""),
        ("sc://spark.example.org:443/", "sc://spark.example.org:443", ""),
        (f"sc://[::1]:15002/;use_ssl=true;token={SECRET}", "sc://[::1]:15002", f"use_ssl=true;token={SECRET}"),
        ("", "auto", ""),
    ],
)
def test_an_address_is_parted_from_its_parameters(
    given: str, engine: str, parameters: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DCI_ENGINE", given)
    settings = read_settings()
    assert (settings.engine, settings.engine_parameters) == (engine, parameters)
    assert SECRET not in repr(settings) and pickle.loads(pickle.dumps(settings)) == settings


@pytest.mark.parametrize(
    "given",
    [
        f"sc://host/;token={SECRET}",
        f"sc://{SECRET}@host:15002",
        f"sc://host:15002;token={SECRET}",
        f"spark://host:7077/;token={SECRET}",
        f"SC://host:15002/;token={SECRET}",
        f"sc://host:15002/;token={SECRET} ",
    ],
)
def test_another_form_is_refused_without_being_repeated(given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DCI_ENGINE", given)
    with pytest.raises(Finding, match="sc://host:port") as error:
        read_settings()
    assert SECRET not in str(error.value)


def test_a_name_that_is_none_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DCI_ENGINE", "pandas")
    with pytest.raises(Finding, match="found:    pandas"):
        read_settings()
    with pytest.raises(Finding, match="or sc://host:port"), engines.engine("spark"):
        pass


def test_without_the_client_an_address_is_refused() -> None:
    code = (
        "import json, sys; sys.modules['pyspark'] = None\n"
        "from dci_pipeline import engines; from dci_pipeline.findings import Finding\n"
        "try:\n"
        f"    engines.engine('sc://127.0.0.1:1', parameters='token={SECRET}').__enter__()\n"
        "except Finding as finding:\n"
        "    print(json.dumps([finding.problem, str(finding)]))\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True)
    problem, text = json.loads(ended.stdout)
    assert problem == "the Spark client is not installed" and "dci_pipeline[spark]" in text
    assert SECRET not in ended.stdout + ended.stderr


def test_a_cluster_is_not_pointed_at_object_storage(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DCI_ENGINE", f"sc://127.0.0.1:1/;token={SECRET}")
    monkeypatch.setenv("DCI_SCRATCH", str(tmp_path))
    monkeypatch.setenv("DCI_WAREHOUSE", "s3://bucket/prefix")
    with pytest.raises(Finding, match="workers do not read this warehouse") as error:
        read_settings()
    assert SECRET not in str(error.value)
    monkeypatch.setenv("DCI_ENGINE", "duckdb")
    assert read_settings().engine == "duckdb"
