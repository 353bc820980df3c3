"""``${NAME}`` and ``${NAME:-default}`` in values: one pass over the tree, never parsed again.

What comes out is always text, whatever the variable holds, so no value of the environment can add keys, lists or types
to the configuration. ``$${`` is a literal ``${``. As in a shell, the default also stands in for an empty variable.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import attrs

from contraflow.config.nodes import ListNode, MappingNode, Node, ScalarNode
from contraflow.errors import Problem, near_match

_REFERENCE = re.compile(r"\$(?P<escape>\$)\{|\$\{(?:(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^{}]*))?\})?")


class Substitution:
    """Puts variables into trees; collects secrets and problems.

    Args:
        environ: The variables, or ``None`` where none may be used: each use is then a problem.
    """

    def __init__(self, environ: Mapping[str, str] | None) -> None:
        self.problems: list[Problem] = []
        """Variables that are not set, and references that cannot be read."""
        self._environ = environ
        self._secrets: set[str] = set()

    @property
    def secrets(self) -> frozenset[str]:
        """The values that came from the environment; defaults are not among them, they stand in the file."""
        return frozenset(self._secrets)

    def apply(self, node: Node) -> Node:
        """The same tree with variables replaced in its values; keys stay as they are."""
        match node:
            case ScalarNode():
                return self._scalar(node) if "${" in node.text and isinstance(node.value, str) else node
            case ListNode():
                return attrs.evolve(node, items=tuple(self.apply(item) for item in node.items))
            case MappingNode():
                return self.apply_to_mapping(node)

    def apply_to_mapping(self, node: MappingNode) -> MappingNode:
        """The same as :meth:`apply`, for a mapping."""
        return attrs.evolve(node, entries={key: self.apply(value) for key, value in node.entries.items()})

    def _scalar(self, node: ScalarNode) -> ScalarNode:
        used = False

        def replace(match: re.Match[str]) -> str:
            nonlocal used
            if match["escape"]:
                return "${"
            used = True
            value = self._lookup(match, node)
            return match["default"] or "" if value is None else value

        text = _REFERENCE.sub(replace, node.text)
        return attrs.evolve(node, text=text, value=text, from_environment=used)

    def _lookup(self, match: re.Match[str], node: ScalarNode) -> str | None:
        """The variable's value; ``None`` if the default is to be used, or nothing can be."""
        name, location = match["name"], node.place.location
        if self._environ is None:
            hint = "put it into the settings of an integration; write $${ for a literal ${"
            message = "environment variables are for the project file only"
            self.problems.append(Problem(message=message, location=location, hint=hint))
        elif name is None:
            expected, hint = "${NAME} or ${NAME:-default}", "write $${ for a literal ${"
            message = "a reference to an environment variable cannot be read"
            self.problems.append(Problem(message=message, location=location, expected=expected, hint=hint))
        elif value := self._environ.get(name):
            self._secrets.add(value)
            return value
        elif match["default"] is None and name not in self._environ:
            hint = near_match(name, self._environ) or f"set it, or write ${{{name}:-default}}"
            message = f"the environment variable {name} is not set"
            self.problems.append(Problem(message=message, location=location, hint=hint))
        return None
