"""Parser events to a tree of nodes, without recursion and within limits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import attrs
import yaml

from contraflow.config.nodes import ListNode, MappingNode, Node, Place, ScalarNode, describe, shortened, typed_value
from contraflow.errors import Location, Problem

DEPTH_LIMIT = 64
"""Levels of lists and mappings inside one another."""
NODE_LIMIT = 20_000
"""Keys, values, lists and mappings of a file."""
KEY_LIMIT = 256
"""Characters of a key."""
READABLE_DEPTH = 10
"""Levels of which a message still shows the path."""
PROBLEM_LIMIT = 50
"""Problems reported of one file; after that, reading it further helps nobody."""


class LimitReachedError(Exception):
    """The file goes beyond a limit; the problem that says so has been noted."""


@attrs.define(kw_only=True)
class _Open:
    """A list or mapping that is being read."""

    place: Place
    is_mapping: bool
    is_key: bool = False
    """Whether it stands where a key should; it is read to its end, and then refused."""
    items: list[Node] = attrs.Factory(list)
    entries: dict[str, Node] = attrs.Factory(dict)
    key: Place | None = None
    """The place of the entry whose value comes next; ``None`` while a key is due."""
    key_refused: bool = False
    """Whether that value is to be forgotten with its key."""


class Composer:
    """Builds the tree of one file and collects what is wrong with it.

    Args:
        file: The file's name, for messages.
    """

    def __init__(self, file: str | None) -> None:
        self.problems: list[Problem] = []
        """What is to be refused, in the order of the file."""
        self.top = MappingNode(place=Place(file=file, line=1), entries={})
        """The file's mapping; meaningful when there are no problems."""
        self._file = file
        self._open: list[_Open] = []
        self._nodes = 0
        self._documents = 0

    def consume(self, events: Iterable[yaml.Event]) -> None:
        """Read all events.

        Raises:
            LimitReachedError: A limit was passed.
            yaml.YAMLError: The parser stumbled.
        """
        for event in events:
            match event:
                case yaml.DocumentStartEvent():
                    self._start_document(event)
                case yaml.CollectionEndEvent():
                    self._end_collection()
                case yaml.NodeEvent():
                    self._node(event)

    def _start_document(self, event: yaml.Event) -> None:
        self._documents += 1
        if self._documents > 1:
            self._note("several documents in one file", event, expected="one", hint="remove the line '---'")
            raise LimitReachedError

    def _node(self, event: yaml.NodeEvent) -> None:
        self._nodes += 1
        if self._nodes > NODE_LIMIT:
            self._note("the file holds too many values", event, expected=f"at most {NODE_LIMIT:,} keys and values")
            raise LimitReachedError
        if event.anchor is not None:
            self._refuse_anchor(event)
        if getattr(event, "tag", None) is not None:
            self._note("tags are not allowed", event, hint="quote a text that begins with '!'")
        parent = self._open[-1] if self._open else None
        key_due = parent is not None and parent.is_mapping and parent.key is None
        if isinstance(event, yaml.CollectionStartEvent):
            if key_due:
                self._note("a key must be text", event, found=_kind(event))
            self._start_collection(self._place(parent, event), event, is_key=key_due)
        elif parent is not None and key_due:
            self._key(parent, event)
        else:
            self._add(self._scalar(self._place(parent, event), event))

    def _key(self, parent: _Open, event: yaml.NodeEvent) -> None:
        """Take the next key of a mapping; a key that is refused takes its value with it."""
        text = event.value if isinstance(event, yaml.ScalarEvent) else ""
        parent.key = attrs.evolve(self._place(parent, event), part=text[:KEY_LIMIT])
        parent.key_refused = True
        if not isinstance(event, yaml.ScalarEvent):
            return  # An alias, already refused.
        complaint = self._complaint(event, parent.key, parent.entries)
        parent.key_refused = complaint is not None
        if complaint is not None:
            self._add_problem(complaint)

    @staticmethod
    def _complaint(event: yaml.ScalarEvent, key: Place, entries: Mapping[str, Node]) -> Problem | None:
        """What is wrong with a key, if anything."""
        text = event.value
        location = key.location
        if not text:
            return Problem(message="a key is empty", location=location)
        if len(text) > KEY_LIMIT:
            return Problem(message="a key is too long", location=location, expected=f"at most {KEY_LIMIT} characters")
        if not text.isprintable():
            hint = "retype it: it may hold a no-break space or a line break"
            return Problem(message="a key holds an invisible character", location=location, found=repr(text), hint=hint)
        if text == "<<" and _is_plain(event):
            return Problem(message="merge keys are not allowed", location=location, hint="write the values out")
        if text in entries:
            first = entries[text].place.line
            return Problem(
                message=f"the key '{shortened(text)}' is written twice",
                location=location,
                found=f"first on line {first}, again on line {location.line}",
                hint="keep one of them",
            )
        return None

    def _place(self, parent: _Open | None, event: yaml.Event) -> Place:
        """Where the value or key that begins with this event stands."""
        if parent is not None and parent.key is not None:
            return parent.key
        line, column = _position(event)
        if parent is None:
            return Place(file=self._file, line=line, column=column)
        part = "?" if parent.is_mapping else f"[{len(parent.items)}]"
        return Place(file=self._file, line=line, column=column, part=part, parent=parent.place)

    def _start_collection(self, place: Place, event: yaml.Event, *, is_key: bool) -> None:
        if len(self._open) >= DEPTH_LIMIT:
            self._note("the file nests too deeply", event, expected=f"at most {DEPTH_LIMIT} levels")
            raise LimitReachedError
        self._open.append(_Open(place=place, is_mapping=isinstance(event, yaml.MappingStartEvent), is_key=is_key))

    def _end_collection(self) -> None:
        done = self._open.pop()
        if done.is_key:
            self._open[-1].key, self._open[-1].key_refused = done.place, True
        elif done.is_mapping:
            self._add(MappingNode(place=done.place, entries=done.entries))
        else:
            self._add(ListNode(place=done.place, items=tuple(done.items)))

    def _add(self, node: Node) -> None:
        """Put a finished value where it belongs."""
        if not self._open:
            self._set_top(node)
            return
        parent = self._open[-1]
        if not parent.is_mapping:
            parent.items.append(node)
            return
        if parent.key is not None and not parent.key_refused:
            parent.entries[parent.key.part] = node
        parent.key, parent.key_refused = None, False

    def _set_top(self, node: Node) -> None:
        match node:
            case MappingNode():
                self.top = node
            case ScalarNode(value=None):
                pass
            case _:
                self._add_problem(
                    Problem(
                        message="the file must hold a mapping",
                        location=node.place.location,
                        found=describe(node) if isinstance(node, ListNode) else "one text",
                        expected="names with values, such as 'name: value'",
                    )
                )

    def _scalar(self, place: Place, event: yaml.NodeEvent) -> ScalarNode:
        if not isinstance(event, yaml.ScalarEvent):
            return ScalarNode(place=place, text="", value=None)  # An alias, already refused.
        text = event.value
        if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
            self._note("half of a surrogate pair is no character", event)
        return ScalarNode(place=place, text=text, value=typed_value(text) if _is_plain(event) else text)

    def _refuse_anchor(self, event: yaml.NodeEvent) -> None:
        # Its name is not shown: it may be a password that nobody quoted.
        is_alias = isinstance(event, yaml.AliasEvent)
        message = "aliases are not allowed" if is_alias else "anchors are not allowed"
        self._note(
            message, event, hint=f"write the value out; quote a text that begins with '{'*' if is_alias else '&'}'"
        )

    def _note(
        self,
        message: str,
        event: yaml.Event,
        *,
        found: str | None = None,
        expected: str | None = None,
        hint: str | None = None,
    ) -> None:
        here = self._open[-1] if self._open else None
        place = None if here is None else here.key or here.place
        # Deeper paths tell nothing.
        path = "" if place is None or len(self._open) > READABLE_DEPTH else place.path
        location = Location(file=self._file, line=_position(event)[0], path=path)
        self._add_problem(Problem(message=message, location=location, found=found, expected=expected, hint=hint))

    def _add_problem(self, problem: Problem) -> None:
        self.problems.append(problem)
        if len(self.problems) >= PROBLEM_LIMIT:
            self.problems.append(
                Problem(message="too many problems; the rest of the file was not read", location=problem.location)
            )
            raise LimitReachedError


def _position(event: yaml.Event) -> tuple[int, int]:
    """Line and column, both from 1."""
    mark = event.start_mark
    return (1, 1) if mark is None else (mark.line + 1, mark.column + 1)


def _kind(event: yaml.CollectionStartEvent) -> str:
    return "a mapping" if isinstance(event, yaml.MappingStartEvent) else "a list"


def _is_plain(event: yaml.ScalarEvent) -> bool:
    return not event.style
