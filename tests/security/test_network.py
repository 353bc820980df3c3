"""S21, S23: no telemetry, no listening socket: of a whole run, every look-up and connection is one to the remote."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

AUDITED = """
import json, sys

seen = []

def look(event, arguments):
    if event in ("socket.connect", "socket.bind", "socket.getaddrinfo", "socket.sendto", "urllib.Request"):
        target = arguments[0] if event == "socket.getaddrinfo" else arguments[1]
        seen.append([event, str(target)])

sys.addaudithook(look)
sys.argv = ["contraflow", *sys.argv[1:]]
from contraflow.cli.app import app
try:
    app()
finally:
    open("seen.json", "w").write(json.dumps(seen))
"""

CALLING = """
import socket

@hookimpl
def write_items(items, context):
    with socket.socketpair()[0]:
        pass
    with socket.socket() as connection:
        connection.settimeout(1)
        try:
            connection.connect(("127.0.0.1", 9))
        except OSError:
            pass
    return store(items, context)
"""


def test_s21_s23_only_the_remote_is_spoken_to(project: Any) -> None:
    project.connector(CALLING)
    for command in (["check"], ["sync", "acme"], ["status"], ["plugins"]):
        done = subprocess.run(
            [sys.executable, "-c", AUDITED, *command],
            cwd=project.directory,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        seen = json.loads((project.directory / "seen.json").read_text())
        to_the_remote = ["socket.connect", "('127.0.0.1', 9)"]
        assert seen == ([to_the_remote] * 2 if command[0] == "sync" else [])
