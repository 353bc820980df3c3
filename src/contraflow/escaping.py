"""Show text that others chose (keys, a remote's reasons, names) so that it can neither steer a terminal nor forge a line.

Control characters, escape sequences, and the marks that turn the direction of writing are spelt out: ``\\x1b``, ``\\u202e``.
"""

from __future__ import annotations


def printable(text: str) -> str:
    """``text`` with everything spelt out that is not printed as itself; line ends stay, for what has several lines."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text)


def one_line(text: str) -> str:
    """The same, with line ends spelt out, too."""
    return printable(text).replace("\n", "\\n")
