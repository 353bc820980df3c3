"""The bench's modules, and ledgers for it."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

_HERE = Path(__file__).parent
sys.path.insert(0, str(_HERE))  # programs of their own (soak.py, worker.py) import the same modules

from harness import Bench, Setting, bench  # noqa: E402
from ledgers import postgresql_schema  # noqa: E402
from readiness import READY  # noqa: E402

collect_ignore = [] if READY else ["test_crash_points.py", "test_kills.py", "test_faults.py", "test_mutants.py"]


@pytest.fixture(scope="session")
def seed() -> int:
    """Another one in each run, unless CONTRAFLOW_TEST_SEED says which; a failing test tells it."""
    return int(os.environ.get("CONTRAFLOW_TEST_SEED", secrets.randbelow(10**6)))


@pytest.fixture
def make_bench(tmp_path: Path, seed: int) -> Iterator[Callable[..., Bench]]:
    """Set up a bench: ``make_bench("C", ledger="postgresql", form="batch", ...)``."""
    with ExitStack() as stack:

        def make(delivery_class: str, *, ledger: str = "sqlite", **options: Any) -> Bench:
            setting = Setting(delivery_class=delivery_class, **{"seed": seed, **options})
            directory = tmp_path / f"bench{len(list(tmp_path.iterdir()))}"
            directory.mkdir()
            url = None
            if ledger == "postgresql":
                try:
                    url = stack.enter_context(postgresql_schema())
                except ConnectionError as error:
                    if os.environ.get("CI") == "true":
                        raise
                    pytest.skip(str(error))
            return stack.enter_context(bench(directory, setting, ledger=url))

        yield make


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[Any]:
    """Tell the seed with every failure."""
    report = yield
    if report.failed and isinstance(item, pytest.Function) and "seed" in item.fixturenames:
        found = item.funcargs.get("seed")
        report.sections.append(("seed", f"repeat with CONTRAFLOW_TEST_SEED={found}"))
    return report
