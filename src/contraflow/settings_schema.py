"""A connector's settings class as JSON Schema (draft 2020-12), for editors.

Descriptions come from the docstrings below the fields. Text that is a number or a truth value is taken for one, and an
environment variable may stand for any value, so scalars may also be written as such text.
"""

from __future__ import annotations

import ast
import enum
import inspect
import textwrap
import types
from collections.abc import Mapping
from itertools import pairwise
from typing import Any, Literal, Union, get_args, get_origin

import attrs

Schema = dict[str, Any]

_VARIABLE = r"\$\{[^}]+\}"
_SCALARS: Mapping[Any, Schema] = {
    str: {"type": ["string", "number", "boolean"]},  # the loader keeps names and texts as they are written
    int: {"anyOf": [{"type": "integer"}, {"type": "string", "pattern": rf"^([+-]?\d+|.*{_VARIABLE}.*)$"}]},
    float: {"anyOf": [{"type": "number"}, {"type": "string", "pattern": rf"^([+-]?[\d.eE+-]+|.*{_VARIABLE}.*)$"}]},
    bool: {"anyOf": [{"type": "boolean"}, {"type": "string", "pattern": rf"^([Tt]rue|[Ff]alse|{_VARIABLE})$"}]},
    type(None): {"type": "null"},
}


def settings_schema(cls: type[Any], definitions: dict[str, Schema]) -> Schema:
    """The schema of an attrs class: a reference into ``definitions``, to which it and the classes below it are added."""
    name = f"{cls.__module__}.{cls.__qualname__}"
    if name not in definitions:
        definitions[name] = {}  # so that a class may hold itself
        definitions[name].update(_object(cls, definitions))
    return {"$ref": f"#/$defs/{name}"}


def _object(cls: type[Any], definitions: dict[str, Schema]) -> Schema:
    fields = [field for field in attrs.fields(attrs.resolve_types(cls)) if field.init]
    help_texts = field_docstrings(cls)
    properties: dict[str, Schema] = {}
    for field in fields:
        schema = _of(field.type, definitions)
        if field.name in help_texts:
            schema = {**schema, "description": help_texts[field.name]}
        if field.metadata.get("secret"):
            schema = {**schema, "writeOnly": True}
        properties[field.alias] = schema
    schema = {"type": "object", "properties": properties, "additionalProperties": False}
    required = [field.alias for field in fields if field.default is attrs.NOTHING]
    if required:
        schema["required"] = required
    doc = inspect.cleandoc(cls.__doc__ or "").partition("\n\n")[0]
    if doc and not doc.startswith("Method generated"):
        schema["description"] = " ".join(doc.split())
    return schema


def _of(kind: Any, definitions: dict[str, Schema]) -> Schema:
    """The schema of a field's type; of a type that has no counterpart, one that allows anything."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return {"anyOf": [_of(each, definitions) for each in arguments]}
    if origin is Literal:
        return {"enum": list(arguments)}
    if kind in _SCALARS:
        return dict(_SCALARS[kind])
    member = origin or kind
    if isinstance(member, type):
        if issubclass(member, enum.Enum):
            return {"enum": [each.value for each in member]}
        if attrs.has(member):
            return settings_schema(member, definitions)
        if issubclass(member, Mapping):
            values = _of(arguments[1], definitions) if len(arguments) == 2 else {}
            return {"type": "object", "additionalProperties": values}
        if issubclass(member, list | tuple | set | frozenset):
            return {"type": "array", "items": _of(arguments[0], definitions) if arguments else {}}
    return {}


def field_docstrings(cls: type[Any]) -> Mapping[str, str]:
    """The texts that stand below the fields of a class in its source; none where the source is not at hand."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(cls)))
    except (OSError, TypeError, SyntaxError):
        return {}
    body = tree.body[0].body if tree.body and isinstance(tree.body[0], ast.ClassDef) else []
    return {
        above.target.id: " ".join(str(below.value.value).split())
        for above, below in pairwise(body)
        if isinstance(above, ast.AnnAssign)
        and isinstance(above.target, ast.Name)
        and isinstance(below, ast.Expr)
        and isinstance(below.value, ast.Constant)
        and isinstance(below.value.value, str)
    }
