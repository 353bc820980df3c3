"""Whether the engine keeps what the tests of this folder ask of it; until then those that need it are not collected."""

READY = False
