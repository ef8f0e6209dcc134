"""Data files read strictly: YAML into plain mappings, where a key that nobody reads is an error naming file and key."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, cast

from dci_pipeline.findings import Finding


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping a YAML file holds. Raises Finding when it is not valid YAML or not a mapping."""
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        loaded: object = yaml.load(path.read_bytes(), Loader=loader)  # noqa: S506 - a safe loader, its C form when built
    except yaml.YAMLError as error:
        raise Finding(
            "not valid YAML", where=short_path(path), found=" ".join(str(error).split()), todo="mend the line it names"
        ) from error
    if not isinstance(loaded, dict):
        raise Finding("not a mapping", where=short_path(path), found=type(loaded).__name__, expected="key: value lines")
    return cast("dict[str, Any]", loaded)


def only(mapping: object, allowed: Iterable[str], *, where: str) -> dict[str, Any]:
    """`mapping` itself when all its keys are known. Raises Finding naming file and key otherwise."""
    if not isinstance(mapping, dict):
        raise Finding("not a mapping", where=where, found=repr(mapping), expected="key: value lines")
    known = set(allowed)
    keyed = cast("dict[str, Any]", mapping)
    unknown = [str(key) for key in keyed if key not in known]
    if unknown:
        raise Finding(
            f"unknown key {', '.join(map(repr, unknown))}",
            where=where,
            found=", ".join(unknown),
            expected="one of " + ", ".join(sorted(known)),
            todo="correct the spelling or remove the key",
        )
    return keyed


def content_hash(value: object) -> str:
    """SHA-256 of a plain value in one canonical spelling; comments and layout of its file do not count."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def need(mapping: Mapping[str, Any], key: str, where: str) -> Any:
    """The value of a key that must be there. Raises Finding naming what the mapping has instead."""
    if key not in mapping or mapping[key] is None:
        raise Finding(
            f"missing key {key!r}", where=where, found=sorted(mapping), expected=key, todo=f"add {key}: to the file"
        )
    return mapping[key]


def list_of(mapping: Mapping[str, Any], key: str, where: str) -> list[dict[str, Any]]:
    """The list under a key that must be there."""
    value = need(mapping, key, where)
    if not isinstance(value, list):
        raise Finding(f"{key} is not a list", where=where, found=type(value).__name__, expected="a list")
    return cast("list[dict[str, Any]]", value)


def number_of(mapping: Mapping[str, Any], key: str, where: str, *, default: float | None = None) -> float:
    """The number under a key; without `default` it must be there. Raises Finding for anything else."""
    value = mapping.get(key) if default is not None else need(mapping, key, where)
    if value is None and default is not None:
        return default
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Finding(f"{key} is not a number", where=where, found=repr(value), expected="a number", todo="correct it")
    return value


def whole_of(mapping: Mapping[str, Any], key: str, where: str, *, default: int | None = None) -> int:
    """The whole number under a key, as `number_of`."""
    value = number_of(mapping, key, where, default=default)
    if value != int(value):
        raise Finding(f"{key} is not a whole number", where=where, found=value, expected="a whole number")
    return int(value)


def one_of(value: str, allowed: Iterable[str], where: str) -> None:
    """Raises Finding unless `value` is one of `allowed`."""
    if value not in allowed:
        raise Finding("unknown value", where=where, found=repr(value), expected="one of " + ", ".join(allowed))


def short_path(path: Path) -> str:
    """The path as the method owner knows it: from the contracts folder on."""
    parts = path.parts
    return "/".join(parts[-3:]) if len(parts) >= 3 else str(path)


def sentence(text: object) -> str:
    """Text of a data file on one line."""
    return " ".join(str(text or "").split())
