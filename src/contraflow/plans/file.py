"""A plan as a file: JSON, an entry a line, under a digest that an edit breaks."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO, TYPE_CHECKING, Any

import attrs

from contraflow import __version__
from contraflow.engine.spool import Planned
from contraflow.errors import PlanError
from contraflow.redaction import Redactor

if TYPE_CHECKING:
    from contraflow.plans.plan import Plan

FORMAT = "contraflow plan 1"

_HEAD: Mapping[str, type | tuple[type, ...]] = {
    "format": str,
    "contraflow": str,
    "made": str,
    "project": str,
    "ledger": (str, type(None)),
    "integration": str,
    "job": str,
    "force": bool,
    "parameters": dict,
    "content": str,
}
_ENTRY: Mapping[str, type | tuple[type, ...]] = {
    "key": str,
    "operation": str,
    "fingerprint": str,
    "generation": int,
    "prior": (str, type(None)),
}
_EDITED = "it was edited, or cut short, since it was made; make a new one"


@attrs.frozen(kw_only=True)
class PlanFile:
    """A plan that was read again, and is as it was written."""

    digest: str
    made: datetime
    project: str
    ledger: str | None
    integration: str
    job: str
    force: bool
    parameters: Mapping[str, Any]
    steps: Mapping[str, Mapping[str, Planned]]
    """By step, what is to be done by key text."""


def write_plan(plan: Plan, path: str | os.PathLike[str], *, redact: Redactor, values: bool) -> int:
    """As :meth:`contraflow.plans.plan.Plan.save`."""
    head = {
        "format": FORMAT,
        "contraflow": __version__,
        "made": plan.made.isoformat(),
        "project": plan.project,
        "ledger": plan.ledger,
        "integration": plan.integration,
        "job": plan.job,
        "force": plan.force,
        "parameters": dict(plan.parameters),
        "content": plan.digest,
    }
    head = json.loads(json.dumps(head, default=str))
    parameters = _spell(head["parameters"])
    if redact(parameters) != parameters:
        raise PlanError("the plan cannot be saved: a parameter of the run holds a secret, which no file is to keep")
    target = Path(path)
    try:
        with NamedTemporaryFile("w", encoding="ascii", dir=target.parent, delete=False) as file:
            try:
                left_out = _write(file, plan, head, redact, values)
            except BaseException:
                Path(file.name).unlink()
                raise
        Path(file.name).replace(target)
    except OSError as error:
        raise PlanError(f"the plan cannot be written to {target}: {error.strerror or error}") from None
    return left_out


def _write(file: IO[str], plan: Plan, head: Mapping[str, Any], redact: Redactor, values: bool) -> int:
    digest, left_out = _Digest(head), 0
    file.write("{\n")
    for name, value in head.items():
        file.write(f" {json.dumps(name)}: {json.dumps(value)},\n")
    file.write(' "steps": [')
    for number, step in enumerate(plan.steps):
        file.write(("," if number else "") + f'\n  {{"step": {json.dumps(step.step)}, "entries": [')
        digest.step(step.step)
        separator = ""
        for planned in step.entries():
            if redact(planned.key) != planned.key:
                left_out += 1
                continue
            entry = _entry(planned, values)
            digest.entry(entry)
            file.write(f"{separator}\n   {_spell(entry)}")
            separator = ","
        file.write("\n  ]}")
    file.write(f'\n ],\n "digest": {json.dumps(digest.hex())}\n}}\n')
    return left_out


def _entry(planned: Planned, values: bool) -> dict[str, Any]:
    entry: dict[str, Any] = {name: getattr(planned, name) for name in _ENTRY}
    entry["changed"] = None if planned.changed is None else json.loads(planned.changed)
    if values and planned.values is not None:
        entry["values"] = json.loads(planned.values)
    return entry


class _Digest:
    """Of everything in a file but itself, however the file is laid out."""

    def __init__(self, head: Mapping[str, Any]) -> None:
        self._hash = hashlib.blake2b(_spell(head).encode(), digest_size=32)

    def step(self, name: str) -> None:
        self._hash.update(f"\nstep {_spell(name)}".encode())

    def entry(self, entry: Mapping[str, Any]) -> None:
        self._hash.update(f"\n{_spell(entry)}".encode())

    def hex(self) -> str:
        return self._hash.hexdigest()


def _spell(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def read_plan(path: str | os.PathLike[str]) -> PlanFile:
    """Read a plan.

    Raises:
        PlanError: It cannot be read, is none, of another format, or is not as it was written.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise PlanError(f"the plan {path} cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise PlanError(f"{path} is no plan: it is not even text") from None
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise PlanError(f"{path} is no plan, or {_EDITED}") from None
    name = found.get("format") if isinstance(found, dict) else None
    if not isinstance(name, str) or not name.startswith("contraflow plan"):
        raise PlanError(f"{path} is no plan: expected what `contraflow plan --out` writes")
    if name != FORMAT:
        raise PlanError(f"{path} has the format '{name}'; this contraflow knows '{FORMAT}': make the plan anew")
    try:
        return _checked(found)
    except (ValueError, TypeError, KeyError, RecursionError):
        raise PlanError(f"{path} cannot be applied: {_EDITED}") from None


def _checked(found: Mapping[str, Any]) -> PlanFile:
    """The plan of a document.

    Raises:
        ValueError, TypeError, KeyError: It is not as it was written.
    """
    head = {name: found[name] for name in _HEAD}
    _check(head, _HEAD)
    digest = _Digest(head)
    steps: dict[str, dict[str, Planned]] = {}
    for step in found["steps"]:
        digest.step(step["step"])
        entries = list(_read_entries(step["entries"], digest))
        steps[step["step"]] = {entry.key: entry for entry in entries}
    if found.keys() != {*_HEAD, "steps", "digest"} or not hmac.compare_digest(digest.hex(), found["digest"]):
        raise ValueError
    return PlanFile(
        digest=found["digest"],
        made=datetime.fromisoformat(head["made"]),
        steps=steps,
        **{name: head[name] for name in ("project", "ledger", "integration", "job", "force", "parameters")},
    )


def _read_entries(entries: Sequence[Mapping[str, Any]], digest: _Digest) -> Iterator[Planned]:
    for entry in entries:
        digest.entry(entry)
        fields = {name: entry[name] for name in _ENTRY}
        _check(fields, _ENTRY)
        yield Planned(**fields)


def _check(values: Mapping[str, Any], kinds: Mapping[str, type | tuple[type, ...]]) -> None:
    if not all(isinstance(values[name], kind) for name, kind in kinds.items()):
        raise TypeError
