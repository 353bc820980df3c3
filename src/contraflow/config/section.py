"""Reading a mapping field by field: what does not fit is noted as a problem, and reading goes on."""

from __future__ import annotations

from collections.abc import Collection

from contraflow.config.nodes import ListNode, MappingNode, Node, ScalarNode, describe
from contraflow.errors import Location, Problem, near_match


class Section:
    """A mapping of known keys.

    Args:
        node: The mapping.
        known: Its keys; any other is noted as a problem.
        problems: Where problems are noted.
        what: What the mapping describes, for messages: "an integration".
    """

    def __init__(self, node: MappingNode, known: Collection[str], problems: list[Problem], *, what: str) -> None:
        self.node = node
        self._problems = problems
        self._what = what
        self._known = known
        for key, value in node.entries.items():
            if key not in known:
                self._refuse_key(key, value)

    @property
    def location(self) -> Location:
        """Where the mapping stands."""
        return self.node.place.location

    def node_of(self, key: str) -> Node | None:
        """The value of a key; ``None`` where it is absent or null."""
        value = self.node.entries.get(key)
        return None if isinstance(value, ScalarNode) and value.value is None else value

    def text(self, key: str, *, required: bool = False, show: bool = False, expected: str = "text") -> str | None:
        """The text of a key exactly as written; ``None`` where it is absent, null or noted as a problem.

        Args:
            key: The key.
            required: Whether absence is a problem.
            show: Whether a value that does not fit may be shown in the message.
            expected: What is due, for the message.
        """
        value = self.node_of(key)
        if value is None:
            if required:
                self.note(f"{self._what} needs '{key}'", self.node, expected=expected)
            return None
        text = name_of(value)
        if not text:
            self.note(f"'{key}' must be {expected}", value, found=describe(value, show=show), expected=expected)
        return text or None

    def boolean(self, key: str, *, default: bool) -> bool:
        """The boolean of a key. A variable of the environment may say ``true`` or ``false``, too."""
        value = self.node_of(key)
        if value is None:
            return default
        if isinstance(value, ScalarNode):
            if isinstance(value.value, bool):
                return value.value
            if value.from_environment and value.text.lower() in ("true", "false"):
                return value.text.lower() == "true"
        self.note(f"'{key}' must be true or false", value, found=describe(value, show=True), expected="true or false")
        return default

    def texts(self, key: str) -> list[ScalarNode]:
        """One text or a list of texts, as nodes, so that each can be cited; empty where absent or null."""
        value = self.node_of(key)
        if value is None:
            return []
        items = value.items if isinstance(value, ListNode) else (value,)
        texts = []
        for item in items:
            if isinstance(item, ScalarNode) and name_of(item):
                texts.append(item)
            else:
                self.note(f"'{key}' must be text or a list of texts", item, found=describe(item), expected="text")
        return texts

    def mapping(self, key: str) -> MappingNode | None:
        """The mapping of a key; ``None`` where it is absent, null or noted as a problem.

        An empty list passes for an empty mapping: in the ancestor's language the two are one.
        """
        value = self.node_of(key)
        if value is None or isinstance(value, MappingNode):
            return value
        if isinstance(value, ListNode) and not value.items:
            return MappingNode(place=value.place, entries={})
        self.note(f"'{key}' must be a mapping", value, found=describe(value), expected="names with values below it")
        return None

    def text_mapping(self, key: str, *, of: str) -> dict[str, str]:
        """The mapping of a key, from names to texts as written; entries that do not fit are noted and left out."""
        node = self.mapping(key)
        texts = {}
        for name, value in ({} if node is None else node.entries).items():
            text = name_of(value)
            if text:
                texts[name] = text
            else:
                self.note(f"'{name}' must be {of}", value, found=describe(value), expected=of)
        return texts

    def note(
        self,
        message: str,
        node: Node,
        *,
        found: str | None = None,
        expected: str | None = None,
        hint: str | None = None,
    ) -> None:
        """Note a problem at a node."""
        location = node.place.location
        self._problems.append(Problem(message=message, location=location, found=found, expected=expected, hint=hint))

    def _refuse_key(self, key: str, value: Node) -> None:
        hint = near_match(key, [name for name in self._known if name not in self.node.entries])
        expected = "one of " + ", ".join(self._known)
        self.note(f"{self._what} knows no key '{key}'", value, expected=expected, hint=hint)


def name_of(node: Node) -> str | None:
    """A scalar's text exactly as written, as names are; ``None`` for a list, a mapping, null, or an object."""
    if not isinstance(node, ScalarNode) or not isinstance(node.value, str | bool | int | float):
        return None
    return node.text
