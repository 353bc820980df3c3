"""What a worker is doing, in memory that outlives it."""

from __future__ import annotations

import mmap
import struct
from pathlib import Path

from crash_points import PHASES

_CELL = struct.Struct("=I")


class Counters:
    """Unsigned numbers in a file that several processes map: the present phase, and how often each was entered."""

    SIZE = _CELL.size * (len(PHASES) + 1)

    def __init__(self, path: Path) -> None:
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), self.SIZE)

    @classmethod
    def create(cls, path: Path) -> Counters:
        """Make the file, with zeros."""
        path.write_bytes(bytes(cls.SIZE))
        return cls(path)

    def enter(self, phase: str) -> None:
        index = PHASES.index(phase)
        place = _CELL.size * (index + 1)
        _CELL.pack_into(self._map, place, _CELL.unpack_from(self._map, place)[0] + 1)
        _CELL.pack_into(self._map, 0, index)

    def reset(self) -> None:
        self._map[:] = bytes(self.SIZE)

    def close(self) -> None:
        self._map.close()

    @property
    def phase(self) -> str:
        return PHASES[_CELL.unpack_from(self._map, 0)[0]]

    def times(self, phase: str) -> int:
        """How often the phase was entered."""
        return int(_CELL.unpack_from(self._map, _CELL.size * (PHASES.index(phase) + 1))[0])
