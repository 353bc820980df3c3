"""The engine: runs the steps of an assembled job.

An item step is a stream: ``preparation`` reads and processes items, ``comparison`` holds them against the ledger and cuts
chunks of changes, ``delivery`` brings a chunk to the remote, ``settlement`` turns the answers into what the ledger records.
``step`` and ``job`` put these together; ``status`` is the algebra of their ends.
"""
