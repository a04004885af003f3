"""How this machine logs in to nodes, and where: values only.

Apart from ``session``, because configuration needs these words and must not pay for importing an SSH library.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from diagnostics.errors import ConfigurationError
from diagnostics.transport.known_hosts import SSH_PORT

_DOOR = re.compile(
    r"(?:(?P<user>[^@\s]+)@)?(?:\[(?P<bracketed>[^\]\s]+)\]|(?P<bare>[^@\[\]\s]*:[^@\[\]\s]*:[^@\[\]\s]*)|(?P<host>[^@:\[\]\s]+))"
    r"(?::(?P<port>[0-9]{1,5}))?"
)


@dataclass(frozen=True, slots=True)
class SshSettings:
    """How this machine logs in to nodes.

    ``certificate`` is looked for beside the key (``KEY-cert.pub``) where it is not given. ``bastion`` is
    "[user@]host[:port]", with the same keys. ``sudo`` None means: where the user is not root and sudo asks nothing.
    """

    known_hosts: tuple[Path, ...]
    user: str = "root"
    port: int = SSH_PORT
    key_file: Path | None = None
    certificate: Path | None = None
    agent: bool = True
    bastion: str | None = None
    sudo: bool | None = None
    connect_seconds: float = 27.0  # of 30 that a session may take on a full node


@dataclass(frozen=True, slots=True)
class Door:
    """Where to log in, and as whom."""

    user: str
    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.user}@{host}:{self.port}"


def door(text: str, user: str, port: int = SSH_PORT) -> Door:
    """A Door from "[user@]host[:port]". An IPv6 address with a port stands in brackets."""
    found = _DOOR.fullmatch(text)
    if found is None or not 0 < int(found["port"] or port) < 65536:
        raise ConfigurationError(f"{text!r} is not understood as [user@]host[:port].")
    return Door(found["user"] or user, found["bracketed"] or found["bare"] or found["host"], int(found["port"] or port))
