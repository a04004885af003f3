"""Which host keys are known: OpenSSH's known_hosts files, read strictly.

Written by hand because paramiko's reader stops at a ``@cert-authority`` line, ignores ``@revoked`` and knows no
patterns (measured with 5.1). Pure but for reading the files; it must not know how a session is made.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from diagnostics.errors import SshError

SSH_PORT = 22


@dataclass(frozen=True, slots=True)
class KnownKey:
    """One line: the names it is for, the key, and where the line stands."""

    names: tuple[str, ...]
    kind: str
    blob: bytes
    where: str

    def is_for(self, name: str) -> bool:
        """Whether this line names ``name`` (as ``spelled``), and no "!name" in it excludes it."""
        if any(pattern.startswith("!") and fnmatchcase(name, _pattern(pattern[1:])) for pattern in self.names):
            return False
        return any(_matches(name, pattern) for pattern in self.names)


@dataclass(frozen=True, slots=True)
class KnownHosts:
    """What the files say. ``revoked`` keys are refused for whatever host."""

    keys: tuple[KnownKey, ...]
    revoked: frozenset[bytes]
    paths: tuple[Path, ...] = ()

    def of(self, host: str, port: int) -> tuple[KnownKey, ...]:
        """The keys of one host, those revoked left out."""
        name = spelled(host, port)
        return tuple(key for key in self.keys if key.is_for(name) and key.blob not in self.revoked)


def spelled(host: str, port: int) -> str:
    """A host as known_hosts spells it."""
    return host.lower() if port == SSH_PORT else f"[{host.lower()}]:{port}"


def read(paths: Sequence[Path]) -> KnownHosts:
    """All keys in the files. A file that cannot be read is an SshError: without it nobody can be trusted."""
    lines: list[tuple[str, str]] = []
    for path in paths:
        try:
            text = path.expanduser().read_text(encoding="utf-8", errors="replace")
        except OSError as error:
            raise SshError(
                f"The known hosts file {path} cannot be read ({error.strerror}). SSH needs it: only hosts whose key is "
                "known are spoken to."
            ) from error
        lines += [(f"{path} line {number}", line) for number, line in enumerate(text.splitlines(), start=1)]
    return parse(lines, tuple(paths))


def parse(lines: Iterable[tuple[str, str]], paths: tuple[Path, ...] = ()) -> KnownHosts:
    """The keys in (where, line) pairs. Damaged lines and certificate authorities vouch for nobody: passed over."""
    keys, revoked = [], set()
    for where, line in lines:
        words = line.split()
        marker = words.pop(0) if words and words[0].startswith("@") else ""
        key = _key(words, where)
        if key is not None and marker == "@revoked":
            revoked.add(key.blob)
        elif key is not None and marker == "":
            keys.append(key)
    return KnownHosts(tuple(keys), frozenset(revoked), paths)


def _key(words: list[str], where: str) -> KnownKey | None:
    if len(words) < 3 or words[0].startswith("#"):
        return None
    try:
        blob = base64.b64decode(words[2], validate=True)
    except (binascii.Error, ValueError):
        return None
    return KnownKey(tuple(words[0].split(",")), words[1], blob, where)


def _matches(name: str, pattern: str) -> bool:
    if pattern.startswith("|1|"):
        return _matches_hash(name, pattern)
    return not pattern.startswith("!") and fnmatchcase(name, _pattern(pattern))


def _pattern(pattern: str) -> str:
    """OpenSSH's pattern as fnmatch's: the brackets of "[host]:port" stand for themselves."""
    return pattern.lower().replace("[", "[[]")


def _matches_hash(name: str, pattern: str) -> bool:
    """``|1|salt|hash`` is HMAC-SHA1 of the name (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT)."""
    try:
        salt, digest = (base64.b64decode(part, validate=True) for part in pattern[3:].split("|"))
    except (binascii.Error, ValueError):
        return False
    return hmac.compare_digest(hmac.new(salt, name.encode(), hashlib.sha1).digest(), digest)
