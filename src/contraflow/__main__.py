"""``python -m contraflow``."""

from __future__ import annotations

from contraflow.cli import main

if __name__ == "__main__":
    main()
