"""Find the conformance tests of a connector package, wherever its author keeps them."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from contraflow.errors import ConfigError, Problem, near_match
from contraflow_hookspecs import PROJECT_NAME

GROUP = "contraflow.conformance"
"""The entry-point group in which a package names its tests: ``acme = "contraflow_acme.conformance:TestAcme"``."""

_CONVENTIONS = ("conformance", "tests.test_conformance", "test_conformance")


def find_tests(target: str) -> list[str]:
    """The conformance tests of a target, as pytest wants them named.

    Args:
        target: A test file or folder, with ``::Class`` behind it if one is meant; a module, with ``:Class``; or the name of
            an installed package. Of a package: the entry points in :data:`GROUP`; else the module ``conformance`` or
            ``tests.test_conformance`` in it; else ``tests/test_conformance.py`` of the source tree it is installed from.

    Raises:
        ConfigError: There is nothing of the kind.
    """
    path = target.partition("::")[0]
    named = Path(path).exists()
    if named and ("/" in path or path.endswith(".py")):
        return [target]
    module, _, attribute = target.partition(":")
    found = _entry_points(target) or _by_module(module, attribute.lstrip(":")) or _by_convention(_import_name(module))
    if found or named:
        return found or [target]
    raise ConfigError(
        Problem(
            message=f"no conformance tests are found for '{target}'",
            found="a package without them" if _module(_import_name(module)) else "no such file, package or module",
            expected=f"an entry point in the group '{GROUP}', a module {_import_name(module)}.conformance, or "
            f"tests/test_conformance.py beside the package's sources",
            hint=near_match(target, _connectors()),
        )
    )


def _entry_points(target: str) -> list[str]:
    wanted = _normal(target)
    found = []
    for entry_point in metadata.entry_points(group=GROUP):
        distribution = "" if entry_point.dist is None else entry_point.dist.name
        if wanted in (_normal(entry_point.name), _normal(distribution)):
            found += _by_module(entry_point.module, entry_point.attr)
    return found


def _by_module(module: str, attribute: str) -> list[str]:
    file = _module(module)
    if file is None or not (attribute or _tests_in(file)):
        return []
    return [f"{file}::{attribute}" if attribute else str(file)]


def _by_convention(package: str) -> list[str]:
    root = _module(package)
    if root is None:
        return []
    inside = [file for name in _CONVENTIONS if (file := _module(f"{package}.{name}")) is not None]
    # src/package/__init__.py, or package/__init__.py, of a source tree that is installed in place
    beside = [folder / "tests" / "test_conformance.py" for folder in list(root.parents)[1:3]]
    return [str(file) for file in (*inside, *beside) if file.is_file() and _tests_in(file)][:1]


def _tests_in(file: Path) -> bool:
    return "ConnectorConformance" in file.read_text(encoding="utf-8")


def _module(name: str) -> Path | None:
    """The file of a module, without importing it (its parent packages are imported)."""
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError, AttributeError):
        return None
    return None if spec is None or spec.origin is None or not spec.has_location else Path(spec.origin)


def _import_name(target: str) -> str:
    """The import package of a distribution; the target itself if it is none."""
    wanted = _normal(target)
    for name, distributions in metadata.packages_distributions().items():
        if wanted in map(_normal, distributions):
            return name
    for entry_point in metadata.entry_points(group=PROJECT_NAME):  # of one that is installed in place
        if entry_point.dist is not None and _normal(entry_point.dist.name) == wanted:
            return entry_point.module.partition(".")[0]
    return target


def _connectors() -> Iterator[str]:
    return (each.dist.name for each in metadata.entry_points(group=PROJECT_NAME) if each.dist is not None)


def _normal(name: str) -> str:
    return name.lower().replace("_", "-").replace(".", "-")
