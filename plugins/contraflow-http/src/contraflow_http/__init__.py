"""A contraflow connector for REST remotes, by configuration, and a base for connectors written in Python.

This module is the plugin ``http``. Authors of connectors use :mod:`contraflow_http.client`, :mod:`contraflow_http.auth` and
:mod:`contraflow_http.errors`.
"""

from __future__ import annotations

from contraflow_http.connector import (
    archive_items,
    check_connection,
    check_step,
    confirm_items,
    describe_parameters,
    fetch_items,
    find_items,
    forget_items,
    list_items,
    open_resources,
    process_item,
    provide_export_job,
    write_items,
)
from contraflow_http.settings import Settings

__all__ = [
    "Settings",
    "archive_items",
    "check_connection",
    "check_step",
    "confirm_items",
    "describe_parameters",
    "fetch_items",
    "find_items",
    "forget_items",
    "list_items",
    "open_resources",
    "process_item",
    "provide_export_job",
    "write_items",
]
