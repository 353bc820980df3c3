"""Whether the engine keeps what the tests of this folder ask of it; until then those that need it are not collected.

CONTRAFLOW_TEST_DELIVERY=1 collects them all the same.
"""

import os

READY = os.environ.get("CONTRAFLOW_TEST_DELIVERY") == "1"
