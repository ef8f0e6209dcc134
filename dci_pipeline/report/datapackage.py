"""The descriptor of a folder of tables: a Frictionless Data Package, from contracts and facts of files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dci_pipeline.releases.resources import DataFile, resource, schema

__all__ = ["NAME", "DataFile", "descriptor", "schema"]

NAME = "datapackage.json"


def descriptor(
    name: str, *, title: str, description: str, files: Sequence[DataFile], beside: Mapping[str, object]
) -> dict[str, object]:
    """The descriptor as plain values, for JSON. `name`: small letters, digits and . _ -; `beside`: further properties.

    A resource per file, in the order given: path, format, bytes, hash, rows, and a schema with type, description, unit
    and limits of every column and the primary key.
    """
    return {
        "name": name,
        "title": title,
        "description": description,
        **beside,
        "resources": [resource(file) for file in files],
    }
