"""Relations of mapped classes: which are loaded with their entity, and what to say of one that is not."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import attrs
import sqlalchemy as sa
from sqlalchemy import exc, orm
from sqlalchemy.orm.interfaces import ORMOption

from contraflow.errors import ConfigError, Location, Problem, near_match
from contraflow.source import Entity

_STRATEGIES = ("selectin", "joined")
_NOT_LOADABLE = ("dynamic", "write_only")
_DETACHED = re.compile(
    r"<(?P<cls>\w+) at 0x[0-9a-f]+> is not bound to a Session; (?P<what>lazy|deferred) load operation of "
    r"attribute '(?P<name>\w+)'"
)
_RAISED = re.compile(r"'(?P<cls>\w+)\.(?P<name>\w+)' is not available due to lazy='raise")
_DEEPEST = 4


@attrs.define
class _Node:
    """A relation or deferred column to load, and what is to be loaded behind it."""

    attribute: Any
    strategy: str = "selectin"
    children: dict[str, _Node] = attrs.field(factory=dict)

    def option(self) -> Any:
        """The loader option of SQLAlchemy."""
        if isinstance(self.attribute.property, orm.ColumnProperty):
            return orm.undefer(self.attribute)
        load = orm.joinedload if self.strategy == "joined" else orm.selectinload
        return load(self.attribute).options(*(child.option() for child in self.children.values()))


def loader_options(entity: Entity, load: Any, location: Location | None = None) -> tuple[ORMOption, ...]:
    """SQLAlchemy's options for the paths of a step's ``load`` parameter.

    Args:
        entity: The entity of the step.
        load: Paths such as ``orders``, ``orders.lines``, ``joined:address``; one or a list of them, or ``None``.
        location: Where the step is written, for messages.

    Raises:
        ConfigError: A path names no relation, or the entity has none because it is a table; names all such paths.
    """
    place = location or Location()
    paths = [] if load is None else [load] if isinstance(load, str) else load
    if not isinstance(paths, (list, tuple)) or not all(isinstance(path, str) for path in paths):
        raise ConfigError(
            Problem(message="`load` is no list of relations", location=place, expected="such as [orders, orders.lines]")
        )
    if paths and entity.mapper is None:
        raise ConfigError(
            Problem(
                message=f"entity '{entity.name}' is a table and has no relations to load",
                location=place,
                hint="`load` needs an entity that is a mapped class",
            )
        )
    roots: dict[str, _Node] = {}
    problems: list[Problem] = []
    for path in paths:
        try:
            _plant(roots, entity.mapper, path)
        except ConfigError as error:
            problems += (attrs.evolve(problem, location=place) for problem in error.problems)
    if problems:
        raise ConfigError(*problems)
    return tuple(node.option() for node in roots.values())


def _plant(roots: dict[str, _Node], mapper: orm.Mapper[Any] | None, path: str) -> None:
    """Add a path to the tree, so that ``orders`` and ``orders.lines`` load the orders once."""
    strategy, colon, names = path.rpartition(":")
    if colon and strategy not in _STRATEGIES:
        raise ConfigError(
            Problem(
                message=f"unknown way '{strategy}' to load in '{path}'",
                expected=", ".join(_STRATEGIES),
                hint=near_match(strategy, _STRATEGIES),
            )
        )
    nodes = roots
    node: _Node | None = None
    for name in names.split("."):
        if mapper is None:
            raise ConfigError(Problem(message=f"`load` path '{path}' goes on behind a column"))
        if name not in nodes:
            nodes[name] = _Node(_loadable(mapper, name, path))
        node = nodes[name]
        nodes = node.children
        mapper = getattr(node.attribute.property, "mapper", None)
    if node is not None and colon:
        node.strategy = strategy


def _loadable(mapper: orm.Mapper[Any], name: str, path: str) -> Any:
    deferred = [prop.key for prop in mapper.column_attrs if prop.deferred]
    relations = [*mapper.relationships.keys(), *deferred]
    owner = mapper.class_.__name__
    if name not in relations:
        raise ConfigError(
            Problem(
                message=f"{owner} has no relation '{name}', which `load` names in '{path}'",
                expected=", ".join(relations) or f"no `load`: {owner} has no relations",
                hint=near_match(name, relations),
            )
        )
    if name in mapper.relationships and mapper.relationships[name].lazy in _NOT_LOADABLE:
        raise ConfigError(
            Problem(
                message=f"relation '{name}' of {owner} cannot be loaded with its entity",
                found=f"lazy={mapper.relationships[name].lazy!r} in its mapping",
                expected="a relation that is a plain attribute",
            )
        )
    return getattr(mapper.class_, name)


def explain_lazy_load(error: BaseException, entity: Any = None) -> str | None:
    """What to do about an error that SQLAlchemy raised for a relation, or a deferred column, that was not loaded.

    Args:
        error: What ``process_item`` raised.
        entity: The item's entity, from which the path to the relation is found.

    Returns:
        One sentence, or ``None`` if the error is about something else.
    """
    if not isinstance(error, exc.SQLAlchemyError):
        return None
    match = _DETACHED.search(str(error)) or _RAISED.search(str(error))
    if match is None:
        return None
    owner, name = match["cls"], match["name"]
    deferred = match.groupdict().get("what") == "deferred"
    path = _path(entity, owner, name) or name
    what = (
        f"column '{name}' of {owner} is deferred in its mapping and was"
        if deferred
        else f"relation '{name}' of {owner} is"
    )
    return f"{what} not loaded: add `load: [{path}]` to the step's parameters"


def _path(entity: Any, owner: str, name: str) -> str | None:
    """The shortest path of relations from an entity to an attribute of the class of that name."""
    root = sa.inspect(type(entity), raiseerr=False)
    if not isinstance(root, orm.Mapper):
        return None
    level: Mapping[str, orm.Mapper[Any]] = {"": root}
    for _ in range(_DEEPEST):
        for path, mapper in level.items():
            if mapper.class_.__name__ == owner and name in mapper.attrs:
                return f"{path}{name}"
        level = dict(_further(level.items()))
    return None


def _further(level: Iterable[tuple[str, orm.Mapper[Any]]]) -> Iterable[tuple[str, orm.Mapper[Any]]]:
    for path, mapper in level:
        for relation in mapper.relationships:
            yield f"{path}{relation.key}.", relation.mapper
