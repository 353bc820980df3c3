"""What an author overrides, and the bench that is made of it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, ClassVar

import pytest

from contraflow.testing.conformance.bench import Bench, RemoteView
from contraflow.testing.conformance.outcome import fail
from contraflow.testing.conformance.same import same_value
from contraflow.testing.conformance.settings import moved, origin_of, url_in
from contraflow.testing.fault_proxy import FaultProxy
from contraflow.testing.faults import FaultInjector, Request
from contraflow.testing.tcp_proxy import TcpProxy
from contraflow_hookspecs import Key

_READING = frozenset({"GET", "HEAD", "OPTIONS", "PROPFIND", "QUERY", "REPORT", "SEARCH", "TRACE"})
"""The methods that are registered as safe."""


class ConformanceBase:
    """Override ``connector``, ``settings``, ``entity`` and ``remote``; the rest where the defaults do not fit."""

    job: ClassVar[str | None] = None
    """The name of the connector's job, where it brings several."""
    step: ClassVar[str] = "step"
    """The name of the step that is played."""
    parameters: ClassVar[Mapping[str, Any]] = {}
    """The parameters of the step that is played."""
    fields: ClassVar[Mapping[str, str]] = {}
    """Which field of the entity takes values of which sort: ``text``, ``integer``, ``decimal``, ``moment``, ``nullable``.
    By default the first of the sample entity's that holds such a value, and what takes text can be null. ``""`` for none."""
    longest: ClassVar[int] = 20_000
    """How many characters the long text has."""
    patience: ClassVar[float] = 10.0
    """Seconds after which a connector that still waits for an answer is said to have no timeout."""

    # Fixtures to override

    @pytest.fixture
    def connector(self) -> object:
        """The plugin under test: a module or an instance."""
        fail("override the fixture 'connector': it returns the plugin under test")

    @pytest.fixture
    def settings(self) -> Mapping[str, Any]:
        """The integration's settings, as in a project file, with the real remote's address and a short timeout."""
        fail("override the fixture 'settings': it returns the integration's settings, as in a project file")

    @pytest.fixture
    def remote(self) -> RemoteView:
        """How to see what the remote holds: an object with ``read(key)`` and ``count(key)``."""
        fail("override the fixture 'remote': it returns an object with read(key) and count(key)")

    @pytest.fixture
    def against(self, settings: Mapping[str, Any]) -> str:
        """What the report says that the connector was run against: product and version. By default scheme, host and port of
        the URL in the settings."""
        url = url_in(settings)
        return "a remote without a name" if url is None else origin_of(url)

    @pytest.fixture
    def faults(self, settings: Mapping[str, Any]) -> Iterator[FaultInjector | None]:
        """What makes faults. By default a proxy before the URL in the settings: of HTTP for ``http`` and ``https``, of TCP
        for any other URL with a host and a port. Override it for other transports; ``None`` leaves the faults out."""
        url = url_in(settings)
        if url is None:
            yield None
        elif url.startswith(("http://", "https://")):
            with FaultProxy(url, concerns=self.is_write, patience=self.patience) as proxy:
                yield proxy
        else:
            with TcpProxy(url, concerns=self.is_write, patience=self.patience) as tcp:
                yield tcp

    # Methods to override

    def entity(self, number: int) -> Mapping[str, Any]:
        """A sample entity; another one for each number, the same for the same number."""
        fail("override the method 'entity(number)': it returns a sample entity, a mapping of names to values")

    def key(self, number: int) -> Key:
        """The key of a sample entity."""
        return (number,)

    def bad_entity(self, number: int) -> Mapping[str, Any] | None:
        """An entity that the remote refuses, instead of the sample entity of this number; ``None`` if it refuses none."""
        return None

    def changed(self, entity: Mapping[str, Any], round: int) -> Mapping[str, Any]:  # noqa: A002 - a round of changes
        """The same entity with something else in it, another in each round."""
        field = self.field("text", entity)
        if field is None:
            fail("the sample entity has no text field to change: override the method 'changed(entity, round)'")
        return {**entity, field: f"{entity[field]} {round}"[-200:]}

    def is_write(self, request: Request) -> bool:
        """Whether a request is one that writes: faults are for those. By default all but the methods that only read."""
        return request.method not in _READING

    def same(self, sent: Any, held: Any) -> bool:
        """Whether a value that the remote holds is the one that was sent."""
        return same_value(sent, held)

    def secrets(self, settings: Mapping[str, Any]) -> Sequence[str]:
        """The secrets in the settings. By default what the settings class declares secret."""
        return ()

    def refuse(self, keys: Sequence[Key]) -> bool:
        """Make the remote refuse these items, each in its place of an answer that is mixed (207), until the test ends.

        Returns:
            Whether that can be done; ``False`` leaves the test out.
        """
        return False

    # What the checks use

    @pytest.fixture
    def bench(
        self,
        connector: object,
        settings: Mapping[str, Any],
        remote: RemoteView,
        faults: FaultInjector | None,
    ) -> Iterator[Bench]:
        """The connector under test, driven as the engine drives it."""
        url, proxy = url_in(settings), getattr(faults, "url", None)
        bench = Bench(
            connector=connector,
            settings=settings if url is None or proxy is None else moved(settings, url, proxy),
            entity=self.entity,
            key=self.key,
            remote=remote,
            faults=faults,
            job=self.job,
            parameters=self.parameters,
            step=self.step,
            same=self.same,
        )
        try:
            yield bench
        finally:
            bench.close()

    def field(self, sort: str, entity: Mapping[str, Any] | None = None) -> str | None:
        """The field of the sample entity that takes values of a sort; ``None`` if there is none."""
        if sort in self.fields:
            return self.fields[sort] or None
        if sort == "nullable":
            return self.field("text", entity)
        sample = self.entity(1) if entity is None else entity
        own = self.key(1) if entity is None else ()
        return next((name for name, value in sample.items() if _SORTS[sort](value) and value not in own), None)


_SORTS: Mapping[str, Any] = {
    "text": lambda value: isinstance(value, str),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "decimal": lambda value: isinstance(value, Decimal),
    "moment": lambda value: isinstance(value, dt.datetime) and value.tzinfo is not None,
}
