"""What a directory's result codes (RFC 4511, appendix A) mean for an item."""

from __future__ import annotations

import enum
import re

import attrs

SUCCESS = 0
CONSTRAINT_VIOLATION = 19
NO_SUCH_OBJECT = 32

_LONGEST_REASON = 300
# The one message of OpenLDAP that repeats values: a filter of all that were to be unique.
_VALUES = re.compile(r" found with \(.*", re.DOTALL)


class Reach(enum.Enum):
    """How far a refusal reaches."""

    ITEM = "item"
    """This entry is refused, and would be again."""
    LATER = "later"
    """Not now; later it may be."""
    SYSTEM = "system"
    """Somebody must act: credentials, rights, schema, a replica that cannot be written."""


@attrs.frozen(kw_only=True)
class Answer:
    """A directory's result of one request."""

    number: int
    name: str
    """The result code's name, such as ``objectClassViolation``."""
    message: str = ""
    """The directory's own words. OpenLDAP names the attribute or the object class here."""

    @property
    def ok(self) -> bool:
        """Whether the request was carried out."""
        return self.number == SUCCESS

    @property
    def reason(self) -> str:
        """For people: one line."""
        message = _VALUES.sub("", self.message)
        text = " ".join(f"{self.name}: {message}".split()) if message else self.name
        return text if len(text) <= _LONGEST_REASON else text[: _LONGEST_REASON - 1] + "…"

    @property
    def reach(self) -> Reach:
        """How far it reaches, if it is a refusal."""
        if self.number in _LATER:
            return Reach.LATER
        # OpenLDAP answers so to whoever writes to a database that is set to read only.
        if self.number in _SYSTEM or (self.number == 53 and "restricted" in self.message):
            return Reach.SYSTEM
        return Reach.ITEM

    @property
    def code(self) -> str:
        """The code of a ``Rejected``."""
        return _CODES.get(self.number, "refused")


_LATER = {
    3,  # timeLimitExceeded
    11,  # adminLimitExceeded
    51,  # busy
    52,  # unavailable
    80,  # other: an error within the directory
}
_SYSTEM = {
    1,  # operationsError
    2,  # protocolError
    4,  # sizeLimitExceeded
    7,  # authMethodNotSupported
    8,  # strongerAuthRequired
    10,  # referral: a replica
    13,  # confidentialityRequired
    17,  # undefinedAttributeType: the names of attributes come from the settings
    48,  # inappropriateAuthentication
    49,  # invalidCredentials
    50,  # insufficientAccessRights
}
_CODES = {
    19: "constraint",
    20: "value",  # attributeOrValueExists
    21: "syntax",  # invalidAttributeSyntax
    34: "name",  # invalidDNSyntax
    64: "name",  # namingViolation
    65: "schema",  # objectClassViolation
    66: "has_children",  # notAllowedOnNonLeaf
    67: "name",  # notAllowedOnRDN
    68: "exists",  # entryAlreadyExists
    69: "schema",  # objectClassModsProhibited
}
