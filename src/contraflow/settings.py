"""Structure an integration's ``settings:`` into the connector's settings class, and find the secrets in them.

Strict, on cattrs: unknown settings are refused, and a value must be of the field's type. Text that is a number or a truth
value is taken as such where the field wants one, since the environment knows only text.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import attrs

from contraflow.errors import ConfigError, Location, Problem, near_match

_TRUTH = {"true": True, "false": False}


def structure_settings(cls: type[Any] | None, raw: Mapping[str, Any], location: Location) -> Any:
    """Make the settings object.

    Args:
        cls: The connector's settings class (attrs), or ``None`` if it takes no settings.
        raw: The mapping under ``settings:``, environment already filled in.
        location: Where that mapping stands.

    Raises:
        ConfigError: One problem for each setting that is missing, unknown, or of the wrong type. Values are not shown.
    """
    if cls is None:
        if raw:
            raise ConfigError(
                Problem(message="this connector takes no settings", location=location, found=", ".join(raw))
            )
        return None
    from cattrs import (
        BaseValidationError,
    )  # here, because importing cattrs takes longer than `contraflow --version` may

    try:
        return _converter().structure(dict(raw), cls)
    except BaseValidationError as error:
        raise ConfigError(*_problems(error, location, ())) from None
    except (TypeError, ValueError) as error:
        raise ConfigError(Problem(message=f"the settings are not valid: {error}", location=location)) from None


def secret_values(settings: Any) -> Iterator[str]:
    """Every text below a field that its class declares secret (``metadata={"secret": True}``), at any depth."""
    if isinstance(settings, Mapping):
        for each in settings.values():
            yield from secret_values(each)
    elif isinstance(settings, list | tuple):
        for each in settings:
            yield from secret_values(each)
    elif attrs.has(type(settings)):
        for field in attrs.fields(type(settings)):
            value = getattr(settings, field.name)
            yield from _texts(value) if field.metadata.get("secret") else secret_values(value)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _texts(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _texts(each)


def _converter() -> Any:
    from cattrs import Converter

    converter = Converter(forbid_extra_keys=True)
    for kind, hook in ((str, _text), (int, _integer), (float, _number), (bool, _truth)):
        converter.register_structure_hook(kind, hook)
    return converter


def _text(value: Any, _: Any) -> str:
    if isinstance(value, str):
        return value
    raise TypeError(f"expected text, found {_kind(value)}: put it in quotes")


def _integer(value: Any, _: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and value.strip().lstrip("+-").isdecimal():
        return int(value)
    raise TypeError(f"expected a whole number, found {_kind(value)}")


def _number(value: Any, _: Any) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            pass
    raise TypeError(f"expected a number, found {_kind(value)}")


def _truth(value: Any, _: Any) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in _TRUTH:
        return _TRUTH[value.lower()]
    raise TypeError(f"expected true or false, found {_kind(value)}")


def _kind(value: Any) -> str:
    names = {
        str: "text",
        bool: "a truth value",
        int: "a whole number",
        float: "a number",
        dict: "a mapping",
        list: "a list",
    }
    return "nothing" if value is None else names.get(type(value), type(value).__name__)


def _problems(error: BaseException, location: Location, path: tuple[str, ...]) -> Iterator[Problem]:
    from cattrs import (
        AttributeValidationNote,
        ClassValidationError,
        ForbiddenExtraKeysError,
        IterableValidationError,
        IterableValidationNote,
    )

    if isinstance(error, ClassValidationError | IterableValidationError):
        for inner in error.exceptions:
            notes = [
                n
                for n in getattr(inner, "__notes__", ())
                if isinstance(n, AttributeValidationNote | IterableValidationNote)
            ]
            below = [str(note.name if isinstance(note, AttributeValidationNote) else note.index) for note in notes[:1]]
            yield from _problems(inner, location, (*path, *below))
        return
    where = attrs.evolve(location, path=".".join(part for part in (location.path, *path) if part))
    if isinstance(error, ForbiddenExtraKeysError):
        fields = [field.alias for field in attrs.fields(error.cl)]
        for name in sorted(error.extra_fields):
            yield Problem(
                message=f"unknown setting '{name}'",
                location=where,
                expected=", ".join(fields),
                hint=near_match(name, fields),
            )
    elif isinstance(error, KeyError):
        name = str(error.args[0])
        yield Problem(message=f"the setting '{name}' is missing", location=where, expected=name)
    elif isinstance(error, AttributeError):  # cattrs looked for keys in something that has none
        yield Problem(message="the setting is not valid: expected a mapping", location=where)
    else:
        yield Problem(message=f"the setting is not valid: {error}", location=where)
