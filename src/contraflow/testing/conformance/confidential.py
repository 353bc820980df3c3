"""Secrets: what the connector says when something goes wrong shows none of them."""

from __future__ import annotations

import base64
import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import attrs
import pytest

from contraflow.errors import ConfigError, Location
from contraflow.settings import secret_values, structure_settings
from contraflow.testing.conformance.base import ConformanceBase
from contraflow.testing.conformance.bench import Bench
from contraflow.testing.conformance.outcome import Outcome, expect
from contraflow.testing.faults import FaultKind


class SecretChecks(ConformanceBase):
    """Errors, reasons and log lines, as they come out of contraflow: secrets that are declared are masked by it."""

    def test_settings_errors_show_no_secret(self, bench: Bench) -> None:
        """Settings that are not valid are refused by name, and what they hold is not shown, not even a part of it."""
        secrets = self._secrets(bench)
        text = _refusal(bench, {**bench.raw_settings, "no_such_setting": secrets[0]})
        expect("no_such_setting" in text, f"an unknown setting is not refused by its name: {text or 'it is taken'}")
        self._clean([text], secrets, "the error about an unknown setting")
        for secret in secrets:  # with a line end behind it, as it comes out of a file
            text = _refusal(bench, _replaced(bench.raw_settings, secret, f"{secret}\n"))
            self._clean([text], [secret], "the error about a secret that is not valid")

    def test_refused_credentials_are_not_repeated(self, bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
        """A remote that repeats the token that it refuses does not bring it into the log."""
        self._fails(bench, caplog, FaultKind.STATUS, status=401, echo=True)

    def test_a_server_error_shows_no_secret(self, bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
        """Nor does one that repeats it in a server error."""
        self._fails(bench, caplog, FaultKind.STATUS, status=500, echo=True)

    def test_a_broken_connection_shows_no_secret(self, bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
        """The address in an error of the connection comes without its password and query."""
        self._fails(bench, caplog, FaultKind.RESET)

    def _fails(self, bench: Bench, caplog: pytest.LogCaptureFixture, kind: FaultKind, **fault: Any) -> None:
        secrets = self._secrets(bench)
        changes = bench.new(2)
        with caplog.at_level(logging.DEBUG), bench.fault(kind, **fault) as faults:
            outcome = bench.write(changes)
        used = [*secrets, *getattr(faults, "credentials", ())]
        own = [record.getMessage() for record in caplog.records if record.name.startswith("contraflow")]
        said = [bench.redact(text) for text in (*_said(outcome), *own)]
        self._clean(said, used, f"what the connector says of a fault ({kind.value})")

    def _secrets(self, bench: Bench) -> list[str]:
        found = [*secret_values(bench.settings), *self.secrets(bench.raw_settings)]
        if not found:
            pytest.skip("the settings hold no secret")
        return found

    def _clean(self, texts: Sequence[str], secrets: Sequence[str], where: str) -> None:
        for secret in {form for each in secrets if len(each) >= 4 for form in _forms(each)}:
            shown = [text for text in texts if secret in text]
            expect(
                not shown, f"{where} shows a secret, or what is made of one ({secret[:2]}…, {len(secret)} characters)"
            )


def _refusal(bench: Bench, settings: Mapping[str, Any]) -> str:
    """What contraflow says of settings; empty if it takes them."""
    try:
        structure_settings(bench.job.settings, settings, lambda path: Location(path=path))
    except ConfigError as error:
        return str(error)
    return ""


def _replaced(value: Any, old: str, new: str) -> Any:
    if isinstance(value, Mapping):
        return {name: _replaced(each, old, new) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_replaced(each, old, new) for each in value]
    return new if value == old else value


def _forms(secret: str) -> Iterator[str]:
    yield secret
    yield base64.b64encode(secret.encode()).decode()
    if " " in secret:  # "Bearer …", "Basic …"
        yield secret.partition(" ")[2]


def _said(outcome: Outcome) -> Iterator[str]:
    """Every text of results and errors, causes included: contraflow logs them."""
    for result in outcome.results.values():
        yield from _texts(attrs.asdict(result))
    for error in (*outcome.errors, outcome.stop):
        while error is not None:
            yield str(error)
            error = error.__cause__


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _texts(each)
