"""The conformance suite: a connector is put through everything that remotes and networks do, and earns its promise.

::

    class TestAcme(ConnectorConformance):
        @pytest.fixture
        def connector(self):
            return contraflow_acme

        @pytest.fixture
        def settings(self, acme):
            return {"url": acme.url, "token": "a-secret-token", "timeout": 0.5}

        @pytest.fixture
        def remote(self, acme):
            return acme  # read(key), count(key)

        def entity(self, number):
            return {"id": number, "name": f"Customer {number}"}
"""

from __future__ import annotations

from contraflow.testing.conformance.answers import AnswerChecks
from contraflow.testing.conformance.confidential import SecretChecks
from contraflow.testing.conformance.contract import ContractChecks
from contraflow.testing.conformance.promise import PromiseChecks
from contraflow.testing.conformance.reading import ReadingChecks
from contraflow.testing.conformance.running import RunChecks
from contraflow.testing.conformance.transport import TransportChecks
from contraflow.testing.conformance.values import ValueChecks
from contraflow.testing.conformance.writing import WritingChecks


class ConnectorConformance(
    PromiseChecks,
    RunChecks,
    SecretChecks,
    TransportChecks,
    AnswerChecks,
    ReadingChecks,
    ValueChecks,
    WritingChecks,
    ContractChecks,
):
    """The suite. Subclass it in a test module, under a name that begins with ``Test``, and override what is yours.

    pytest runs the tests of the last base first: from the contract to the promise.
    """
