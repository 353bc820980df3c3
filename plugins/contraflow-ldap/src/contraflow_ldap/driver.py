"""ldap3, as this connector wants it: imported without its warnings, and with TLS as the standard library does it."""

from __future__ import annotations

import ssl
import warnings
from typing import Any

from contraflow_hookspecs import SystemicError

with warnings.catch_warnings():
    # ldap3 2.9.1 asks pyasn1 for names under which it keeps them no longer without a warning.
    warnings.simplefilter("ignore", DeprecationWarning)
    import ldap3
    from ldap3.core import exceptions
    from ldap3.protocol.rfc4527 import post_read_control
    from ldap3.utils.conv import escape_filter_chars

__all__ = ["VerifiedTls", "escape_filter_chars", "exceptions", "ldap3", "post_read_control"]


class VerifiedTls(ldap3.Tls):
    """TLS whose certificate and host name OpenSSL checks.

    ldap3's own way leaves the host name to a function that Python has deprecated, after the handshake.

    Args:
        ca_file: A PEM file with the authorities to trust instead of the usual ones.

    Raises:
        SystemicError: ``ca_file`` cannot be read.
    """

    def __init__(self, ca_file: str | None) -> None:
        super().__init__(validate=ssl.CERT_REQUIRED)
        try:
            self._context = ssl.create_default_context(cafile=ca_file)
        except (OSError, ssl.SSLError) as error:
            raise SystemicError(
                f"ca_file '{ca_file}' cannot be read: {error.strerror or type(error).__name__}"
            ) from error

    def wrap_socket(self, connection: Any, do_handshake: bool = False) -> None:
        """Shake hands; raises what ``ssl`` raises where the other side is not who it should be."""
        connection.socket = self._context.wrap_socket(connection.socket, server_hostname=connection.server.host)
