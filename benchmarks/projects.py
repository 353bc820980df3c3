"""The project in which contraflow exports the table: a connector of a module beside this one, and a new ledger."""

from __future__ import annotations

from pathlib import Path

from source_table import TABLE

_PROJECT = """
source: sqlite:///{source}
ledger: sqlite:///{ledger}
entities:
  customer: {{table: {table}}}
plugins:
  {connector}: {connector}
integrations:
  {connector}: {{connector: {connector}}}
"""


def make_project(directory: Path, source: Path | str, connector: str) -> Path:
    """Make a project in an empty directory.

    Args:
        directory: Where; the ledger will be ``ledger.db`` there.
        source: The source database.
        connector: The name of the connector and of its module, and of the integration.

    Returns:
        The project file.
    """
    file = directory / "contraflow.yaml"
    file.write_text(
        _PROJECT.format(source=source, ledger=directory / "ledger.db", table=TABLE, connector=connector),
        encoding="utf-8",
    )
    return file
