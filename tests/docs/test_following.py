"""A page that says what is not so fails its test."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.mark.parametrize(
    "text",
    [
        "```console\n$ echo one two\none …\n$ cd /\n$ pwd\n/\n```",
        "```console\n$ printf 'a\\nb\\nc\\n'\na\n…\nc\n$ false   # exit code 1\n```",
        "```console\n$ export WORD=there\n```\n\n```console\n$ echo $WORD\nthere\n```",
        "```toml\n# a/b.toml\nx = 1\n```\n\n```console\n$ cat a/b.toml\nx = 1\n```",
        "```python\nx = 1\n```\n\n```python\nprint(x)\n```\n\n```text\n1\n```",
        "```python\n# m.py\nimport json\n\n\ndef f():\n    return 1\n\n\ndef g():\n    return 2\n```\n\n"
        "```python\n# in m.py\nimport math\n\n\ndef f():\n    return math.inf\n```\n\n"
        "```python\nimport m\n\nprint(m.f(), m.g())\n```\n\n```text\ninf 2\n```",
        "```yaml\njob: {steps: {a: {services: {tasklet: t}}}}\n```",
        "```yaml\nsource: ${ANY}\n```",
        "```sh\nmake test ARGS=-x   # comment\n```",
    ],
)
def test_what_is_true_is_followed(follower: Any, page_of: Any, text: str) -> None:
    follower.follow(page_of(text))


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("```console\n$ echo one\ntwo\n```", "the page says"),
        ("```console\n$ printf 'a\\nb\\n'\na\n```", "the page says"),
        ("```console\n$ false\n```", "line 1: \\$ false"),
        ("```console\n$ true   # exit code 1\n```", "line 1"),
        ("```console\necho one\n```", "begins with a command"),
        ("```python\nprint(1)\n```\n\n```text\n2\n```", "the page says"),
        ("```python\n1 / 0\n```", "ZeroDivisionError"),
        ("```text\n2\n```", "the output of nothing"),
        ("```yaml\njob: {stepz: {}}\n```", "stepz"),
        ("```yaml\nsource: sqlite:///a.db\ncolour: red\n```", "colour"),
        ("```sh\nmake tea\n```", "the Makefile has no tea"),
        ("```sh\nrm -rf /\n```", "no make command"),
        ("```cobol\nSTOP RUN.\n```", "nothing can be done"),
    ],
)
def test_what_is_not_true_is_told(follower: Any, page_of: Any, text: str, complaint: str) -> None:
    with pytest.raises(Exception, match=complaint):
        follower.follow(page_of(text))
