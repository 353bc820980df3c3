from __future__ import annotations

import subprocess
import sys


def test_importing_it_loads_nothing_heavy() -> None:
    code = "import sys, contraflow.config; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    loaded = set(done.stdout.split())
    assert {"yaml", "attrs"} & loaded
    assert not {"sqlalchemy", "rich", "click", "pluggy", "alembic", "cattrs"} & loaded
