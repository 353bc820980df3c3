"""An SQLite ledger on a network file system is refused; where it lies is read from the mount table."""

from __future__ import annotations

from pathlib import Path

import pytest

from contraflow.errors import LedgerError
from contraflow.ledger import mounts, open_ledger, sqlite
from contraflow.ledger.mounts import network_file_system

TABLE = r"""21 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
40 21 0:35 / /home/team rw,nosuid shared:2 - nfs4 server:/team rw,vers=4.2
41 40 8:2 / /home/team/local rw - xfs /dev/sdb rw
42 21 0:36 / /mnt/two\040words rw - cifs //server/share rw
43 21 0:37 / /mnt/ssh rw - fuse.sshfs ana@host: rw
44 21 0:38 / /mnt/hidden rw - nfs server:/x rw
45 44 8:3 / /mnt/hidden rw - ext4 /dev/sdc rw
not a line of the table
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/var/lib/contraflow.db", None),
        ("/home/team/contraflow.db", "nfs4"),
        ("/home/team/deep/er/contraflow.db", "nfs4"),
        ("/home/team/local/contraflow.db", None),
        ("/home/teammate/contraflow.db", None),
        ("/mnt/two words/contraflow.db", "cifs"),
        ("/mnt/ssh/contraflow.db", "fuse.sshfs"),
        ("/mnt/hidden/contraflow.db", None),
    ],
)
def test_the_deepest_mount_decides(tmp_path: Path, path: str, kind: str | None) -> None:
    table = tmp_path / "mountinfo"
    table.write_text(TABLE)
    assert network_file_system(Path(path), table) == kind


def test_without_a_mount_table_nobody_can_say(tmp_path: Path) -> None:
    assert network_file_system(tmp_path, tmp_path / "missing") is None


def test_the_mount_table_of_this_machine_is_understood(tmp_path: Path) -> None:
    if mounts.MOUNTS.exists():
        assert network_file_system(tmp_path) is None


def test_a_ledger_on_a_network_file_system_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = tmp_path / "mountinfo"
    table.write_text(f"{TABLE}50 21 0:40 / {tmp_path} rw - nfs4 server:/ledgers rw\n")
    monkeypatch.setattr(sqlite, "network_file_system", lambda path: network_file_system(path, table))
    with pytest.raises(LedgerError, match=r"lies on a network file system \(nfs4\).*or in PostgreSQL"):
        open_ledger(f"sqlite:///{tmp_path}/contraflow.db")
    assert list(tmp_path.iterdir()) == [table]


@pytest.mark.parametrize("target", ["real.db", "not-there-yet.db"])
def test_s8_a_symbolic_link_is_refused_and_leads_nowhere(tmp_path: Path, target: str) -> None:
    open_ledger(f"sqlite:///{tmp_path}/real.db").close()
    link = tmp_path / "link.db"
    link.symlink_to(tmp_path / target)
    before = (tmp_path / "real.db").read_bytes()
    with pytest.raises(LedgerError, match=f"is a symbolic link; name the file itself: .*{target}"):
        open_ledger(f"sqlite:///{link}")
    assert (tmp_path / "real.db").read_bytes() == before
    assert not (tmp_path / "not-there-yet.db").exists()
