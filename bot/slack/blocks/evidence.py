"""The evidence as a file: every step with its commands and their whole output, and the document that scripts read.

Plain ASCII, so that it reads the same in a ticket, a terminal and a browser that guesses the encoding wrong.
"""

from __future__ import annotations

import datetime as dt
import json

from bot.model import Incident, Look
from bot.report import Report, visible_lines
from diagnostics.model import Finding

LARGEST_BYTES = 1_000_000
LARGEST_OUTPUT = 20_000
RULE = "-" * 78
IN_ASCII = str.maketrans(
    {"☑": "[x]", "☐": "[ ]", "…": "...", "·": "|", "±": "+-", "–": "-", "—": "-", "“": '"', "”": '"', "’": "'"}  # noqa: RUF001
)


def evidence(incident: Incident, look: Look) -> bytes:
    """All of it, up to a megabyte; what does not fit is said at the end."""
    parts = [_head(incident, look), *(_step(number, step) for number, step in enumerate(_steps(look.report), 1))]
    parts += [_foot(look.report)] if look.report is not None else []
    parts += [f"{RULE}\nThe document (conntrack-bot show {incident.name} --json)\n", _document(look)]
    text = "\n".join(parts).translate(IN_ASCII).encode("ascii", "backslashreplace") + b"\n"
    if len(text) <= LARGEST_BYTES:
        return text
    end = f"\n... {len(text) - LARGEST_BYTES:,} more bytes: conntrack-bot show {incident.name} --json\n".encode()
    return text[: LARGEST_BYTES - 100] + end


def _steps(found: Report | None) -> tuple[Finding, ...]:
    return found.steps if found is not None else ()


def _head(incident: Incident, look: Look) -> str:
    said = [f"{incident.name}, look {look.number}: {incident.cluster}{'/' if incident.cluster else ''}{incident.node}"]
    said += [f"from {_utc(look.started_at)} to {_utc(look.ended_at)}"]
    if look.report is not None:
        found = look.report
        said += [f"verdict: {found.kind.value}", found.headline, *found.numbers]
        said += [f"who: {found.who}"] if found.who else []
        said += [f"do first: {found.first}"] if found.first else []
        said += [f"  $ {command}" for command in found.first_commands]
    said += [look.why] if look.why else []
    return "\n".join(map(visible_lines, said)) + "\n"


def _step(number: int, step: Finding) -> str:
    said = [RULE, f"{number} {step.title} [{step.status.value}]", step.says, step.means]
    said += [f"Note: {step.correction}"] if step.correction else []
    for shown in step.evidence:
        said += ["", f"$ {shown.command}", _cut(shown.output)]
    return "\n".join(visible_lines(text) for number, text in enumerate(said) if text or number > 3) + "\n"


def _cut(output: str) -> str:
    if len(output) <= LARGEST_OUTPUT:
        return output
    return f"{output[:LARGEST_OUTPUT]}\n... {len(output) - LARGEST_OUTPUT:,} more characters"


def _foot(found: Report) -> str:
    said = [RULE, "Other causes with the same symptoms"]
    said += [f"{one.name}: {one.status}: {one.says}" for one in found.lookalikes]
    said += [RULE, *found.gaps, f"{found.looked}."]
    return "\n".join(map(visible_lines, said)) + "\n"


def _document(look: Look) -> str:
    return json.dumps(dict(look.document), indent=1, ensure_ascii=True, default=str)


def _utc(seconds: float) -> str:
    try:
        return f"{dt.datetime.fromtimestamp(seconds, tz=dt.UTC):%Y-%m-%d %H:%M:%S} UTC"
    except (ValueError, OverflowError, OSError):
        return "an unknown time"
