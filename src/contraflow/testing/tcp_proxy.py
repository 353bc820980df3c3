"""A TCP proxy on loopback that makes faults for connectors of any protocol: it does not look at what passes."""

from __future__ import annotations

import selectors
import socket
import struct
import threading
import time
from collections.abc import Callable
from typing import Self
from urllib.parse import urlsplit, urlunsplit

from contraflow.testing.faults import Fault, FaultKind, Request
from contraflow.testing.proxy import Proxy

_RESET = struct.pack("ii", 1, 0)
_PORTS = {"ldap": 389, "ldaps": 636, "postgresql": 5432, "mysql": 3306, "mariadb": 3306, "redis": 6379, "amqp": 5672}


class TcpProxy(Proxy):
    """Stands before any TCP remote. Use it with ``with``.

    What the client sends is taken packet by packet: one that ``concerns`` is true of meets the fault in force.

    Args:
        upstream: The remote's URL, with a host, and a port unless it is the scheme's own.
        concerns: Which packets faults are for.
        patience: Seconds after which a client that still waits for an answer is taken for one without a timeout.

    Attributes:
        url: The URL for the connector.
    """

    kinds = frozenset({FaultKind.RESET, FaultKind.SILENCE, FaultKind.REFUSE})

    def __init__(self, upstream: str, *, concerns: Callable[[Request], bool], patience: float = 10.0) -> None:
        parts = urlsplit(upstream)
        port = parts.port or _PORTS.get(parts.scheme.partition("+")[0])
        if parts.hostname is None or port is None:
            raise ValueError(f"a URL with a host and a port is needed, and {parts.scheme}://… has none")
        self._upstream = (parts.hostname, port)
        super().__init__(concerns=concerns, patience=patience)
        self._ending = threading.Event()
        self._listen(0)
        user = parts.netloc.rpartition("@")[0]
        netloc = f"127.0.0.1:{self._port}"
        self.url = urlunsplit(parts._replace(netloc=f"{user}@{netloc}" if user else netloc))

    def _listen(self, port: int) -> None:
        self._listener: socket.socket | None = socket.create_server(("127.0.0.1", port))
        self._port = self._listener.getsockname()[1]
        self._accepting = threading.Thread(target=self._accept, args=(self._listener,), daemon=True)
        self._accepting.start()

    def _accept(self, listener: socket.socket) -> None:
        listener.settimeout(0.02)
        while not self._ending.is_set() and self._listener is listener:
            try:
                client, _ = listener.accept()
            except TimeoutError:
                continue
            except OSError:
                break
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()
        listener.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._accepting.join()

    def _refuse(self) -> None:
        self._listener = None
        self._accepting.join()

    def _receive(self) -> None:
        if self._listener is None:
            self._listen(self._port)

    def _serve(self, client: socket.socket) -> None:
        with self._lock:
            self.connections += 1
        try:
            with client, socket.create_connection(self._upstream, timeout=10) as server:
                self._pump(client, server)
        except OSError:
            return  # one of the two is gone, which is what faults are about
        finally:
            with self._lock:
                self.connections -= 1

    def _pump(self, client: socket.socket, server: socket.socket) -> None:
        fault: Fault | None = None
        met = 0.0
        with selectors.DefaultSelector() as selector:
            selector.register(client, selectors.EVENT_READ)
            selector.register(server, selectors.EVENT_READ)
            while not self._ending.is_set():
                for key, _ in selector.select(0.05):
                    source = client if key.fileobj is client else server
                    data = source.recv(65536)
                    if not data:
                        return
                    if source is server:
                        if fault is None:
                            client.sendall(data)
                        elif fault.kind is FaultKind.RESET:
                            _cut(client)  # carried out and answered: the answer is what is lost
                            return
                        continue
                    if fault is None:
                        fault = self.fate(Request(body=data))
                        met = time.monotonic()
                    if fault is not None and not fault.apply:
                        if fault.kind is not FaultKind.SILENCE:
                            _cut(client)
                            return
                        continue
                    server.sendall(data)
                if fault is not None and time.monotonic() - met > self._patience:
                    self.overdue = True
                    return


def _cut(client: socket.socket) -> None:
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    client.close()
