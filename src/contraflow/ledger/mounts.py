"""Which file system a file lies on, by the mount table of Linux."""

from __future__ import annotations

import re
from pathlib import Path

MOUNTS = Path("/proc/self/mountinfo")

_NETWORK = frozenset(
    {"9p", "afs", "cifs", "davfs", "ncpfs", "nfs", "nfs4", "smb3", "smbfs"}
    | {f"fuse.{name}" for name in ("davfs", "gcsfuse", "glusterfs", "goofys", "rclone", "s3fs", "sshfs")}
)
_OCTAL = re.compile(r"\\([0-7]{3})")


def network_file_system(path: Path, mounts: Path = MOUNTS) -> str | None:
    """The kind of the network file system on which ``path`` lies; ``None`` if it lies on no such, or nobody can say.

    Args:
        path: Of a file, which need not be there yet.
        mounts: The mount table.
    """
    try:
        lines = mounts.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return None  # not Linux
    place = path.resolve()
    found, deepest = None, -1
    for line in lines:
        before, _, after = line.partition(" - ")
        fields = before.split(" ")
        if len(fields) < 5 or not after:
            continue
        mounted = Path(_OCTAL.sub(lambda match: chr(int(match[1], 8)), fields[4]))
        # Of two at one place the later hides the earlier.
        if place.is_relative_to(mounted) and len(mounted.parts) >= deepest:
            found, deepest = after.split(" ", 1)[0], len(mounted.parts)
    return found if found in _NETWORK else None
