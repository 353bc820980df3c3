"""The contract: hooks, declarations, settings, and what a connector imports."""

from __future__ import annotations

import ast
import copy
import inspect
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import attrs

from contraflow.fingerprint import canonical
from contraflow.testing.conformance.base import ConformanceBase
from contraflow.testing.conformance.bench import Bench
from contraflow.testing.conformance.outcome import expect, fail
from contraflow.testing.conformance.spy import watched
from contraflow_hookspecs import Capabilities, ItemError, Skip

_SECRET_NAMES = ("password", "passwd", "token", "secret", "api_key", "apikey", "credential", "private_key")


class ContractChecks(ConformanceBase):
    """What can be seen without the remote."""

    def test_declares_a_job_without_doing_anything(self, bench: Bench) -> None:
        """``provide_export_job`` answers the same each time, and neither connects nor writes."""
        with watched() as seen:
            jobs = bench.plugins.export_jobs("under_test")
        expect(not seen, f"provide_export_job is to be pure, and did: {', '.join(seen)}")
        names = [job.name for job in jobs]
        again = [job.name for job in bench.plugins.export_jobs("under_test")]
        expect(names == again, f"provide_export_job answered {names}, and then {again}")
        expect(bench.implements("write_items"), "the connector has no write_items")
        expect(
            isinstance(bench.capabilities, Capabilities),
            f"capabilities: found {type(bench.capabilities).__name__}, expected Capabilities, or a function of the "
            f"settings that returns them",
        )

    def test_declares_what_it_implements(self, bench: Bench) -> None:
        """Who declares ``Capabilities.confirm`` has a ``confirm_items``."""
        has = bench.implements("confirm_items")
        declared = bench.capabilities.confirm
        expect(has or not declared, "capabilities declare confirm=True, and there is no confirm_items")

    def test_imports_the_contract_alone(self, bench: Bench) -> None:
        """It needs ``contraflow_hookspecs``, and nothing of ``contraflow`` but, in tests, ``contraflow.testing``."""
        guilty = [f"{file.name} imports {name}" for file in _sources(bench.connector) for name in _engine_imports(file)]
        expect(not guilty, f"connectors import contraflow_hookspecs alone: {'; '.join(guilty)}")

    def test_declares_its_secrets(self, bench: Bench) -> None:
        """A setting whose name says that it is secret is declared so: ``metadata={"secret": True}``."""
        bare = sorted(set(_undeclared(bench.job.settings)))
        expect(
            not bare,
            f"settings that look secret are not declared so: {', '.join(bare)}; "
            f'write attrs.field(metadata={{"secret": True}}), and they are kept out of every output',
        )

    def test_process_item_is_pure(self, bench: Bench) -> None:
        """``process_item`` gives the same payload for the same entity, leaves the entity alone, and does nothing else."""
        (item,) = bench.items(1)
        _ = bench.context
        bench.process(item)  # what is imported late is imported now
        before, requests = copy.deepcopy(dict(item.data)), bench.requests
        with watched() as seen:
            first, second = bench.process(item), bench.process(item)
        expect(not seen, f"process_item is to be pure, and did: {', '.join(seen)}")
        expect(requests == bench.requests, "process_item is to be pure, and talked to the remote")
        expect(dict(item.data) == before, "process_item changed the entity")
        expect(
            first == second,
            f"process_item gave two payloads for one entity: {first!r} and {second!r}. contraflow compares payloads to see "
            f"what changed",
        )

    def test_process_item_gives_what_can_be_sent(self, bench: Bench) -> None:
        """A payload is a mapping of text to values that contraflow can compare and keep."""
        (item,) = bench.items(1)
        payload = bench.process(item)
        if isinstance(payload, Skip):
            fail(f"process_item skips the sample entity: {payload.reason}")
        try:
            canonical(payload)
        except (ItemError, AttributeError, TypeError) as error:
            fail(f"process_item gave a payload that cannot be sent: {error}")


def _sources(connector: object) -> Iterator[Path]:
    """The source files of the connector's package, or of its module where it lies in no package."""
    name = connector.__name__ if inspect.ismodule(connector) else type(connector).__module__
    root = name.partition(".")[0]
    try:
        spec = find_spec(root)
    except (ImportError, ValueError):
        spec = None
    if spec is not None and spec.submodule_search_locations:
        for folder in spec.submodule_search_locations:
            yield from sorted(Path(folder).rglob("*.py"))
    elif (file := getattr(sys.modules.get(name), "__file__", None)) is not None:
        yield Path(file)


def _engine_imports(file: Path) -> Iterator[str]:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names = [node.module]
        ours = (name for name in names if name.partition(".")[0] == "contraflow")
        yield from (name for name in ours if not f"{name}.".startswith("contraflow.testing."))


def _undeclared(settings: type | None, path: str = "") -> Iterator[str]:
    if settings is None or not attrs.has(settings):
        return
    for field in attrs.fields(attrs.resolve_types(settings)):
        where = f"{path}{field.name}"
        if field.metadata.get("secret"):
            continue
        if field.name.lower().endswith(_SECRET_NAMES) and field.type in (str, str | None):
            yield where
        for inner in (field.type, *getattr(field.type, "__args__", ())):
            if isinstance(inner, type) and attrs.has(inner) and inner is not settings:
                yield from _undeclared(inner, f"{where}.")
