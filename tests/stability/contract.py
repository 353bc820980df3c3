"""Write the contract down: ``python tests/stability/contract.py`` renews ``contract-1.0.txt`` beside this file.

Lines may be added, which is a minor version. A line that goes or changes breaks plugins.
"""

from __future__ import annotations

import ast
import enum
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import attrs

import contraflow_hookspecs
from contraflow_hookspecs import SPEC_VERSION, protocols, specs

KEPT = Path(__file__).with_name(f"contract-{SPEC_VERSION[0]}.{SPEC_VERSION[1]}.txt")


def lines() -> list[str]:
    """The contract, a line for each hook, type, field, member and name."""
    return [*_hooks(), *_coroutines(), *_types(), *(f"name {name}" for name in sorted(contraflow_hookspecs.__all__))]


def _hooks() -> Iterator[str]:
    for hook in (getattr(specs, name) for name in specs.__all__):
        (node,) = ast.parse(inspect.getsource(hook)).body
        assert isinstance(node, ast.FunctionDef)
        first = "first" if hook.contraflow_spec["firstresult"] else "all"
        answer = ast.unparse(node.returns or ast.Constant(None))
        yield f"hook {node.name}({ast.unparse(node.args)}) -> {answer} [{first}]"


def _coroutines() -> Iterator[str]:
    for name, kind in vars(protocols).items():
        if inspect.isclass(kind) and "Awaitable" in str(inspect.get_annotations(kind.__call__).get("return")):
            yield f"hook {re.sub('(?<=[a-z])(?=[A-Z])', '_', name).lower()} may be async"


def _types() -> Iterator[str]:
    for name in sorted(contraflow_hookspecs.__all__):
        kind = getattr(contraflow_hookspecs, name)
        if inspect.isclass(kind) and attrs.has(kind):
            for field in attrs.fields(kind):
                need = "required" if field.default is attrs.NOTHING else "optional"
                yield f"field {name}.{field.name}: {field.type} [{need}]"
        elif inspect.isclass(kind) and issubclass(kind, enum.Enum):
            yield from (f"member {name}.{member.name} = {member.value!r}" for member in kind)
        elif inspect.isclass(kind) and issubclass(kind, Exception):
            arguments = str(inspect.signature(kind.__init__)) if "__init__" in vars(kind) else "(…)"
            yield f"error {name}{arguments} is a {kind.__mro__[1].__name__}"


if __name__ == "__main__":
    KEPT.write_text("\n".join(lines()) + "\n", encoding="utf-8")
