"""Every command, file and program of the documentation does what its page says, and every link leads somewhere."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any
from urllib.parse import urlsplit

import pytest
from markdown_it import MarkdownIt


@pytest.mark.usefixtures("needs")
def test_what_the_page_says_is_true(page: Any, follower: Any) -> None:
    follower.follow(page)


def test_links_lead_somewhere(page: Any) -> None:
    for target in _targets(page.text):
        parts = urlsplit(target)
        if parts.scheme:
            assert parts.scheme == "https", target
            continue
        file = (page.path.parent / parts.path).resolve() if parts.path else page.path
        assert file.exists(), target
        if parts.fragment:
            assert parts.fragment in _anchors(file.read_text(encoding="utf-8")), target


def _targets(text: str) -> list[str]:
    tokens = [child for token in MarkdownIt().parse(text) for child in token.children or ()]
    found = [token.attrs.get("href") or token.attrs.get("src") for token in tokens]
    return [str(target) for target in found if target]


def _anchors(text: str) -> set[str]:
    tokens = MarkdownIt().parse(text)
    headings = [after.content for token, after in pairwise(tokens) if token.type == "heading_open"]
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
