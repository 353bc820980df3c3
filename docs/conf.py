"""The documentation as a site: ``make docs``. The pages are those that one reads in the repository."""

from __future__ import annotations

import re
from importlib import metadata
from pathlib import Path
from typing import Any

project = "contraflow"
author = "The contraflow developers"
copyright = f"2026, {author}"  # noqa: A001 - Sphinx's name
release = metadata.version("contraflow")

root_doc = "contents"
extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_click",
    "sphinx_copybutton",
]
exclude_patterns = ["_build", "examples"]
nitpicky = False

myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence"]
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
napoleon_numpy_docstring = False
python_use_unqualified_type_names = True
copybutton_prompt_text = "$ "
copybutton_only_copy_prompt_lines = True

html_theme = "furo"
html_title = "contraflow"
html_static_path = ["images"]

_ELSEWHERE = (
    # Links that lead out of this folder in the repository, and to a page of the site here.
    (re.compile(r"\]\((?:\.\./)+plugins/([\w-]+)/README\.md(#[\w-]+)?\)"), r"](/connectors/\1.rst\2)"),
    (re.compile(r"\]\((?:\.\./)+hookspecs/src/[\w./]+\)"), r"](/reference/api.rst)"),
    (re.compile(r"\]\((?:\.\./)*(?:docs/)?examples/music_shop/README\.md\)"), r"](/music-shop.rst)"),
    (re.compile(r"\]\((?:\.\./)+README\.md#install\)"), r"](/index.md)"),
)


def _lead_links_to_pages(app: Any, docname: str, content: list[str]) -> None:
    for pattern, replacement in _ELSEWHERE:
        content[0] = pattern.sub(replacement, content[0])


def _include(app: Any, relative_path: Path, parent_docname: str, content: list[str]) -> None:
    """The same for what a page includes, whose links start from where it lies in the repository."""
    _lead_links_to_pages(app, parent_docname, content)
    content[0] = re.sub(r"\]\((?:\.\./)+docs/([\w/.-]+\.md)(#[\w-]+)?\)", r"](/\1\2)", content[0])
    content[0] = re.sub(r"\]\(\.\./([\w-]+)/README\.md\)", r"](/connectors/\1.rst)", content[0])


def setup(app: Any) -> None:
    """Called by Sphinx."""
    app.connect("source-read", _lead_links_to_pages)
    app.connect("include-read", _include)
