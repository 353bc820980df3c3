"""Structure an integration's ``settings:`` into the connector's settings class, and find the secrets in them.

Strict, on cattrs: unknown settings are refused, and a value must be of the field's type. Text that is a number or a truth
value is taken as such where the field wants one, since the environment knows only text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import attrs

from contraflow.errors import ConfigError, Location, Problem, near_match
from contraflow.redaction import Redactor
from contraflow.setting_types import declared, in_words, kind_of, options

if TYPE_CHECKING:
    from cattrs import ForbiddenExtraKeysError

_TRUTH = {"true": True, "false": False}


class _MismatchError(TypeError):
    """A value is not of the field's type."""

    def __init__(self, value: Any, expected: str, hint: str | None = None) -> None:
        super().__init__(f"expected {expected}, found {kind_of(value)}")
        self.found = kind_of(value)
        self.expected = expected
        self.hint = hint


def structure_settings(cls: type[Any] | None, raw: Mapping[str, Any], locate: Callable[[str], Location]) -> Any:
    """Make the settings object.

    Args:
        cls: The connector's settings class (attrs), or ``None`` if it takes no settings.
        raw: The mapping under ``settings:``, environment already filled in.
        locate: Where a setting stands, by its path below ``settings``: ``""``, ``".url"``, ``".routes[0].path"``.

    Raises:
        ConfigError: One problem for each setting that is missing, unknown, or not valid. What the class declares secret is
            not shown.
    """
    if cls is None:
        if raw:
            raise ConfigError(
                Problem(message="this connector takes no settings", location=locate(""), found=", ".join(raw))
            )
        return None
    from cattrs import BaseValidationError  # here, because importing cattrs takes longer than `--version` may

    try:
        written = list(declared(cls, dict(raw)))
        # cattrs would take a text for the list of its letters.
        no_lists = [each.path for each in written if each.is_list and isinstance(each.raw, str)]
        complaints = _Complaints(locate, no_lists)
        problems = list(complaints.texts_for_lists())
        settings = _converter().structure(dict(raw), cls)
    except BaseValidationError as error:
        problems += complaints.of(error, "", cls)
    except Exception as error:  # the class's own annotations cannot be resolved, or are of types that nobody can make
        message = f"the connector's settings class {cls.__qualname__} cannot be used: {type(error).__name__}: {error}"
        raise ConfigError(Problem(message=message, location=locate(""))) from error
    if problems:
        hide = Redactor(text for each in written if each.secret for text in _texts(each.raw))
        raise ConfigError(*(hide.problem(problem) for problem in problems))
    return settings


def secret_values(settings: Any) -> Iterator[str]:
    """Every text below a field that its class declares secret (``metadata={"secret": True}``), at any depth."""
    for part, secret in _parts(settings):
        yield from _texts(part) if secret else secret_values(part)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, bytes):
        yield value.decode(errors="replace")
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield str(value)  # a PIN that YAML took for a number
    for part, _ in _parts(value):
        yield from _texts(part)


def _parts(value: Any) -> Iterator[tuple[Any, bool]]:
    """What a value is made of, and whether that is declared secret."""
    if isinstance(value, Mapping):
        yield from ((each, False) for each in value.values())
    elif isinstance(value, list | tuple | set | frozenset):
        yield from ((each, False) for each in value)
    elif attrs.has(type(value)):
        for field in attrs.fields(type(value)):
            yield getattr(value, field.name), bool(field.metadata.get("secret"))


@cache
def _converter() -> Any:
    from cattrs import Converter

    converter = Converter(forbid_extra_keys=True)
    for kind, hook in ((str, _text), (int, _integer), (float, _number), (bool, _truth)):
        converter.register_structure_hook(kind, hook)
    return converter


def _text(value: Any, _: Any) -> str:
    if isinstance(value, str):
        return value
    scalar = isinstance(value, int | float)
    raise _MismatchError(value, "text", "put it in quotes" if scalar else None)


def _integer(value: Any, _: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and value.strip().lstrip("+-").isdecimal():
        return int(value)
    raise _MismatchError(value, "a whole number")


def _number(value: Any, _: Any) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            pass
    raise _MismatchError(value, "a number")


def _truth(value: Any, _: Any) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in _TRUTH:
        return _TRUTH[value.lower()]
    raise _MismatchError(value, "true or false")


@attrs.frozen
class _Complaints:
    """Turns what cattrs raises into problems.

    Args:
        locate: Where a setting stands.
        no_lists: Paths of texts where a list is due, about which nothing else needs to be said.
    """

    locate: Callable[[str], Location]
    no_lists: Sequence[str]

    def of(self, error: BaseException, path: str, kind: Any) -> Iterator[Problem]:
        from cattrs import ClassValidationError, ForbiddenExtraKeysError, IterableValidationError

        if any(path.startswith(each) for each in self.no_lists):
            return
        if isinstance(error, ClassValidationError | IterableValidationError):
            for inner in error.exceptions:
                owner = error.cl if isinstance(error, ClassValidationError) else kind
                yield from self.of(inner, *_place(inner, path, owner))
        elif isinstance(error, ForbiddenExtraKeysError):
            yield from self._unknown(error, path)
        elif isinstance(error, KeyError) and path.endswith(f"{error.args[0]}"):
            message = f"the setting '{path[1:]}' is missing"
            yield Problem(message=message, location=self.locate(path), expected=in_words(kind))
        else:
            if len(error.args) > 1 and isinstance(error.args[1], attrs.Attribute):  # raised by a validator of attrs
                path = f"{path}.{error.args[1].alias}"
            yield _invalid(error, path, self.locate(path), kind)

    def _unknown(self, error: ForbiddenExtraKeysError, path: str) -> Iterator[Problem]:
        fields = [field.alias for field in attrs.fields(error.cl)]
        for name in sorted(error.extra_fields):
            yield Problem(
                message=f"unknown setting '{name}'",
                location=self.locate(f"{path}.{name}"),
                expected=", ".join(fields),
                hint=near_match(name, fields),
            )

    def texts_for_lists(self) -> Iterator[Problem]:
        """The problems of ``no_lists``."""
        for path in self.no_lists:
            yield Problem(
                message=f"the setting '{path[1:]}' is not valid",
                location=self.locate(path),
                found="text",
                expected="a list",
                hint="put it in brackets: [ ]",
            )


def _place(error: BaseException, path: str, kind: Any) -> tuple[str, Any]:
    """Path and type of the part that an error is about, from the notes of cattrs."""
    from cattrs import AttributeValidationNote, IterableValidationNote

    for note in getattr(error, "__notes__", ()):
        if isinstance(note, AttributeValidationNote):
            return f"{path}.{note.name}", note.type
        if isinstance(note, IterableValidationNote):
            return f"{path}[{note.index}]" if isinstance(note.index, int) else f"{path}.{note.index}", note.type
    return path, kind


def _invalid(error: BaseException, path: str, location: Location, kind: Any) -> Problem:
    what = f"the setting '{path[1:]}' is not valid" if path else "the settings are not valid"
    if isinstance(error, _MismatchError):
        return Problem(message=what, location=location, found=error.found, expected=error.expected, hint=error.hint)
    if choices := options(kind):
        return Problem(message=what, location=location, expected=f"one of {', '.join(choices)}")
    if isinstance(error, AttributeError):  # cattrs looked for keys in something that has none
        return Problem(message=what, location=location, expected=in_words(kind) or "a mapping")
    # attrs' own validators add the field and the value to the message.
    reason = error.args[0] if error.args and isinstance(error.args[0], str) else error
    return Problem(message=f"{what}: {reason}", location=location)
