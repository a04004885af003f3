"""The rung "ssh": the probe sent into a host's own Python through standard input, over one session.

Nothing is written on the node. Where it has no Python that will do, a fixed shell script gives the essentials. What
the host says about itself is believed only as far as a short list of known answers. It must not know what a report
means, nor how a session is made.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import diagnostics.probe
from diagnostics.cluster.faults import plain
from diagnostics.errors import SshError
from diagnostics.probe import envelope
from diagnostics.transport import Order, Report, Tell, shell
from diagnostics.transport.bundle import bundle
from diagnostics.transport.ssh_settings import Door, SshSettings

if TYPE_CHECKING:
    from diagnostics.transport.session import Ran, Session

__all__ = ["SshSettings", "SshTransport"]

PROBE = Path(diagnostics.probe.__file__).parent
BUDGET_BYTES = 65536
SCOUT_SECONDS = 15.0
SECONDS_BEYOND_THE_DEADLINE = 5.0  # for the interpreter's start, and the way there and back
INTERPRETERS = ("/usr/bin/python3", "python3", "/usr/libexec/platform-python", "/usr/local/bin/python3")

# The first thing that runs on a host: may we be root, and which Python can carry the probe. Reads only. The names are
# ours, from the tuple above; what a host answers is compared with them and never put into a command. It begins with a
# new line: a login shell may have said something before, and not have ended it.
_SCOUT = """\
echo
PATH=$PATH:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
uid=$(id -u)
as=
echo "uid=$uid"
if [ "$uid" != 0 ] && [ WANTS_SUDO = yes ]; then
    if said=$(sudo -n true 2>&1 </dev/null); then as="sudo -n"; echo sudo=yes; else echo "sudo=$said"; fi
fi
for python in INTERPRETERS; do
    if $as "$python" -ISB -c 'import sys, base64, json, zlib; sys.exit(sys.version_info < (3, 7))' </dev/null >&2; then
        echo "python=$python"
        break
    fi
done
echo end=scout
"""


@dataclass(frozen=True, slots=True)
class _Host:
    """What the scout found. ``note`` is what a reader must know about rights."""

    prefix: str
    python: str | None
    note: str = ""


class SshTransport:
    """Looks at a host over SSH. ``host`` is a name or an address; user and port are the settings'."""

    rung = "ssh"

    def __init__(self, settings: SshSettings, host: str, interpreters: Sequence[str] = INTERPRETERS) -> None:
        self._settings = settings
        self._where = Door(settings.user, host, settings.port)
        self._interpreters = tuple(interpreters)

    def look(self, order: Order, tell: Tell) -> Iterator[Report]:
        """Run the stages one after the other, each in a channel of its own."""
        with closing(self._connect(tell)) as session:
            host = self._scout(session, tell)
            tell(f"logged in to {self._where}, looking with {host.python or 'the shell'}")
            has_answered = False
            for stage in order.stages():
                try:
                    report = _noted(_stage(session, host, order, stage, tell), host.note)
                except SshError as error:
                    if not has_answered:
                        raise
                    report = {"stage": stage, "unknown": {"stage": str(error)}}
                has_answered = True
                yield report

    def _connect(self, tell: Tell) -> Session:
        try:
            # Here and not above: it imports paramiko, a third of a second that other rungs need not wait for.
            from diagnostics.transport.session import connect  # noqa: PLC0415 - see above
        except ImportError as error:
            raise SshError(f"SSH needs the package paramiko, which cannot be imported ({error}).") from error
        return connect(self._settings, self._where, tell)

    def _scout(self, session: Session, tell: Tell) -> _Host:
        script = _SCOUT.replace("INTERPRETERS", " ".join(self._interpreters) or '""')
        script = script.replace("WANTS_SUDO", "no" if self._settings.sudo is False else "yes")
        ran = session.run("sh -s", script.encode("ascii"), SCOUT_SECONDS, tell)
        lines = ran.out.decode("utf-8", "replace").splitlines()
        said = dict(line.partition("=")[::2] for line in lines)
        if said.get("end") != "scout" or "uid" not in said:
            raise SshError(
                f"{self._where} let us in, but runs no plain shell for us ({_said(ran)}). "
                "The user needs sh as a login shell, without a forced command."
            )
        python = said.get("python")
        is_root, sudo = said["uid"] == "0", said.get("sudo", "")
        note = "" if is_root or sudo == "yes" else self._without_root(sudo)
        prefix = "sudo -n " if sudo == "yes" and not is_root else ""
        return _Host(prefix, python if python in self._interpreters else None, note)

    def _without_root(self, sudo: str) -> str:
        user = self._where.user
        if self._settings.sudo is False:
            why = "sudo is switched off in the settings"
        elif "password" in sudo:
            why = f"sudo asks for a password: allow it in sudoers (NOPASSWD) for {user}, or log in as root"
        else:
            why = f"sudo cannot be used ({plain(sudo)})"
        sentence = f"{user} is not root on {self._where.host}, and {why}"
        if self._settings.sudo:
            raise SshError(f"{sentence}.")
        return f"{sentence}: the table and the kernel log need root"


def _stage(session: Session, host: _Host, order: Order, stage: str, tell: Tell) -> Report:
    """One stage's report, by the probe or by the shell."""
    seconds = order.deadline_seconds + SECONDS_BEYOND_THE_DEADLINE
    if host.python is None and stage not in shell.STAGES:
        raise SshError(f"{session.where} has no python3 of 3.7 or newer, which the stage {stage} needs.")
    if host.python is None:
        argv = shell.argv(order, stage)
        ran = session.run(f"{host.prefix}sh -s {' '.join(argv)}", shell.SCRIPT.encode("ascii"), seconds, tell)
        report = shell.parse(ran.out.decode("utf-8", "replace"), stage)
        if report is None:
            raise SshError(
                f"{session.where} has no python3 of 3.7 or newer, and its shell gave no answer ({_said(ran)})."
            )
        return report
    program = bundle(PROBE, "diagnostics.probe", order.argv(stage, BUDGET_BYTES))
    ran = session.run(f"{host.prefix}{host.python} -ISB -", program, seconds, tell)
    try:
        return envelope.unpack(ran.out.decode("ascii", "replace"))
    except envelope.DamagedEnvelopeError as error:
        raise SshError(f"The probe on {session.where} gave no whole answer ({error}; {_said(ran)}).") from error


def _noted(report: Report, note: str) -> Report:
    if not note:
        return report
    unknown: Any = report.get("unknown")
    return {**report, "unknown": {**(unknown if isinstance(unknown, dict) else {}), "transport": note}}


def _said(ran: Ran) -> str:
    said = ran.err.strip() or ran.out.decode("utf-8", "replace").strip()
    return f"exit status {ran.status}{': ' + plain(said.splitlines()[-1]) if said else ''}"
