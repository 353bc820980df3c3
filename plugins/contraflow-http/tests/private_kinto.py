"""A Kinto for the tests: the remote of ``make demo``, from the virtual environment that ``make test`` makes."""

from __future__ import annotations

import importlib.util
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs
import httpx
import pytest

ROOT = Path(__file__).resolve().parents[3]
ENVIRONMENT = ROOT / ".demo" / "kinto-venv"


def _server() -> Any:
    """The demo's module, under a name that nothing else imports."""
    file = ROOT / "docs" / "examples" / "music_shop" / "kinto_server.py"
    spec = importlib.util.spec_from_file_location("contraflow_http_tests_kinto_server", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@attrs.frozen(kw_only=True)
class Kinto:
    """A running Kinto, and a bucket in it."""

    url: str
    user: str
    password: str
    version: str
    client: httpx.Client
    """Looks at it beside the connector."""

    def collection(self) -> str:
        """Make a new collection; its path below the root."""
        path = f"/buckets/tests/collections/{uuid.uuid4().hex}"
        self.client.put(path).raise_for_status()
        return path


@contextmanager
def running(folder: Path) -> Iterator[Kinto]:
    """Run it for the length of a ``with`` block; skips the test where it is not installed, or fails it with ``CI=true``."""
    server = _server()
    if not server.is_installed(ENVIRONMENT):
        reason = f"Kinto is not installed in {ENVIRONMENT}; `make test` installs it"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    with (
        server.running(ENVIRONMENT, folder) as found,
        httpx.Client(base_url=found.url, auth=(found.user, found.password), timeout=30.0, trust_env=False) as client,
    ):
        permissions = {"permissions": {"write": [f"account:{found.user}"]}}
        client.put("/buckets/tests", json=permissions).raise_for_status()
        yield Kinto(url=found.url, user=found.user, password=found.password, version=server.VERSION, client=client)
