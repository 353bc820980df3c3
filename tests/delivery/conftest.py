"""The bench's modules, and ledgers for it."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import attrs
import pytest

_HERE = Path(__file__).parent
sys.path.insert(0, str(_HERE))  # programs of their own (soak.py, worker.py) import the same modules

from direct import Direct  # noqa: E402
from harness import Bench, Setting, bench  # noqa: E402
from ledgers import postgresql_schema  # noqa: E402

from contraflow.testing.remote.process import FaultRemote, fault_remote  # noqa: E402


@pytest.fixture(scope="session")
def seed() -> int:
    """Another one in each run, unless CONTRAFLOW_TEST_SEED says which; a failing test tells it."""
    return int(os.environ.get("CONTRAFLOW_TEST_SEED", secrets.randbelow(10**6)))


Make = Callable[..., Bench]


@contextmanager
def _benches(directory: Path, seed: int) -> Iterator[Make]:
    with ExitStack() as stack:

        def make(
            delivery_class: str,
            ledger: str = "sqlite",
            *,
            setting: Setting | None = None,
            workers: int = 1,
            **options: Any,
        ) -> Bench:
            setting = setting or Setting(delivery_class=delivery_class, **options)
            place = directory / f"bench{len(list(directory.iterdir()))}"
            place.mkdir()
            url = None
            if ledger == "postgresql":
                try:
                    url = stack.enter_context(postgresql_schema())
                except ConnectionError as error:
                    if os.environ.get("CI") == "true":
                        raise
                    pytest.skip(str(error))
            return stack.enter_context(bench(place, attrs.evolve(setting, seed=seed), ledger=url, workers=workers))

        yield make


@pytest.fixture
def make_bench(tmp_path: Path, seed: int) -> Iterator[Make]:
    """Set up a bench: ``make_bench("C", "postgresql", form="batch", ...)``."""
    with _benches(tmp_path, seed) as make:
        yield make


@pytest.fixture(scope="module")
def shared_bench(tmp_path_factory: pytest.TempPathFactory, seed: int) -> Iterator[Make]:
    """One bench a class and ledger for a whole module: each test finds the ledger that those before it left."""
    with _benches(tmp_path_factory.mktemp("benches"), seed) as make:
        known: dict[tuple[Any, ...], Bench] = {}

        def shared(*which: str, **options: Any) -> Bench:
            if which not in known:
                known[which] = make(*which, **options)
                known[which].live()
            return known[which]

        yield shared


@pytest.fixture(scope="module")
def remote(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultRemote]:
    with fault_remote(tmp_path_factory.mktemp("remote"), {}) as running:
        yield running


@pytest.fixture
def direct(tmp_path: Path, remote: FaultRemote, seed: int) -> Callable[..., Direct]:
    """Set up a project: ``direct("C", rule, ledger_url=..., batch_size=2, ...)``."""

    def make(delivery_class: str, *rules: Mapping[str, Any], ledger_url: str | None = None, **options: Any) -> Direct:
        remote.reset({"rules": list(rules)})
        parameters = {"retry_wait": 0.001, **options.pop("parameters", {})}
        usual: dict[str, Any] = {"records": 5, "timeout": 0.5, "lifetime": 0.5, "seed": seed}
        setting = Setting(delivery_class=delivery_class, parameters=parameters, **{**usual, **options})
        return Direct(directory=tmp_path, setting=setting, remote=remote, ledger_url=ledger_url)

    return make


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[Any]:
    """Tell the seed with every failure."""
    report = yield
    if report.failed and isinstance(item, pytest.Function) and "seed" in item.fixturenames:
        found = item.funcargs.get("seed")
        report.sections.append(("seed", f"repeat with CONTRAFLOW_TEST_SEED={found}"))
    return report
