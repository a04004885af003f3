"""What an answer of the Kubernetes API that is no success means, as a ClusterError whose sentence says what to do.

Pure: a status and a body go in, an error comes out. It must not know of connections, of clients, or of what is
done about the error. Server texts are shown to people, so they are made plain and short here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from diagnostics.errors import ClusterError, ClusterFault

LONGEST_QUOTE = 300  # arbitrary: about three lines of a terminal, enough for every text of section "admission" below

_KINDS: Mapping[int, ClusterFault] = {
    400: "invalid",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    409: "conflict",
    410: "conflict",
    413: "invalid",
    422: "invalid",
    429: "overloaded",
    503: "overloaded",
    504: "timeout",
}

_DO: Mapping[ClusterFault, str] = {
    "conflict": "Somebody changed it meanwhile: read it again before anything else.",
    "budget": "A PodDisruptionBudget protects it: wait until it allows one more disruption.",
    "overloaded": "It is overloaded or shutting down: try again in some seconds.",
    "invalid": "The request does not suit this cluster; its version or its policies may be the reason.",
    "timeout": "It did not get an answer from its own parts in time: check the control plane.",
    "server": "The fault is on the server's side: its log has the reason.",
}

# Who refuses a debug pod, known by the text. The server answers 403 for most of them, and 400, 403 or 500 for webhooks,
# so the text decides and not the status. Sources: the admission plugins of Kubernetes 1.20 and newer.
_ADMISSION: tuple[tuple[re.Pattern[str], str], ...] = (
    (
        re.compile(r'violates PodSecurity "(?P<level>[\w:.-]+)"'),
        (
            "Pod Security allows only `{level}` there, and a debug pod needs `privileged`. "
            "Label its namespace `pod-security.kubernetes.io/enforce=privileged` (deploy/kubernetes)."
        ),
    ),
    (
        re.compile(r"exceeded quota: (?P<quota>[\w.-]+)"),
        "the ResourceQuota `{quota}` is used up. Raise it, or delete leftover pods there.",
    ),
    (
        re.compile(r"ValidatingAdmissionPolicy '(?P<policy>[^']{1,253})'.*?denied request:? ?(?P<why>.*)", re.DOTALL),
        "the ValidatingAdmissionPolicy `{policy}` denied it ({why}). Make an exception for debug pods in it.",
    ),
    (
        re.compile(r'admission webhook "(?P<webhook>[^"]{1,253})" denied the request:? ?(?P<why>.*)', re.DOTALL),
        "the admission webhook `{webhook}` denied it ({why}). Make an exception for debug pods in its policy.",
    ),
    (
        re.compile(r'failed calling (?:admission )?webhook "(?P<webhook>[^"]{1,253})"'),
        (
            "the admission webhook `{webhook}` did not answer, which a full conntrack table can cause by itself. "
            "Exempt the debug pods' namespace from it."
        ),
    ),
    (
        re.compile(r"unable to validate against any security context constraint"),
        "no SecurityContextConstraints allow it. Grant the debug pods' service account one with the host network.",
    ),
    (
        re.compile(r"no PriorityClass with name (?P<name>\S+) was found"),
        "the PriorityClass `{name}` is missing. Create it: kubectl apply -k deploy/kubernetes",
    ),
    (
        re.compile(r'error looking up service account \S+: serviceaccounts? "(?P<name>[^"]+)" not found'),
        "the service account `{name}` is missing. Create it: kubectl apply -k deploy/kubernetes",
    ),
    (
        re.compile(r'namespaces "(?P<name>[^"]+)" not found'),
        "the namespace `{name}` does not exist. Create it: kubectl apply -k deploy/kubernetes",
    ),
    (
        re.compile(r"because it is being terminated"),
        "its namespace is being deleted. Wait until it is gone, then: kubectl apply -k deploy/kubernetes",
    ),
    (
        re.compile(r"PodSecurityPolicy: unable to admit pod"),
        "no PodSecurityPolicy allows the host network. Let the debug pods' service account use one that does.",
    ),
)

_RBAC = re.compile(
    r'User "(?P<user>[^"]*)" cannot (?P<verb>\w+) resource "(?P<resource>[^"]+)"'
    r'(?:.* in the namespace "(?P<namespace>[^"]+)")?',
    re.DOTALL,
)


def plain(text: object) -> str:
    """Foreign text, fit to be shown: one line, no control characters, not longer than a quotation may be."""
    line = " ".join("".join(c if c.isprintable() else " " for c in str(text)[: 4 * LONGEST_QUOTE]).split())
    return line if len(line) <= LONGEST_QUOTE else line[: LONGEST_QUOTE - 1] + "…"


def refusal(status: int, body: bytes, what: str, *, changes: bool) -> ClusterError:
    """The error for an answer with an HTTP status that is no success. ``what`` was asked, such as "read node a"."""
    reply = _reply(body)
    message = plain(reply.get("message") or body.decode("utf-8", "replace") or f"HTTP {status}")
    kind = _kind(status, reply, changes=changes)
    if kind == "unauthorized":
        says = f"The API server does not accept these credentials ({message}). Log in again, or renew the token."
    elif kind == "ambiguous":
        says = f"The API server may or may not have managed to {what} ({message}). Read its state before a new try."
    elif kind == "not_found" and not changes:
        says = f"Could not {what}: {message}."
    else:
        says = f"The API server refused to {what}: {_because(kind, str(reply.get('message') or ''), message)}"
    return ClusterError(says, kind=kind, status=status)


def _reply(body: bytes) -> Mapping[str, Any]:
    """The ``Status`` object of the body, or nothing where a proxy in between answered in words of its own."""
    try:
        reply = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return reply if isinstance(reply, dict) else {}


def _kind(status: int, reply: Mapping[str, Any], *, changes: bool) -> ClusterFault:
    details = reply.get("details")
    causes = details.get("causes") if isinstance(details, dict) else None
    if status == 429 and any(isinstance(c, dict) and c.get("reason") == "DisruptionBudget" for c in causes or ()):
        return "budget"
    # A gateway that gave up on the server does not know what the server did.
    if changes and status in (502, 504):
        return "ambiguous"
    return _KINDS.get(status, "server")


def _because(kind: ClusterFault, whole_message: str, message: str) -> str:
    for pattern, sentence in _ADMISSION:
        found = pattern.search(whole_message)
        if found:
            return sentence.format(**{name: plain(value or "") for name, value in found.groupdict().items()})
    denied = _RBAC.search(whole_message)
    if denied:
        where = f" in namespace {denied['namespace']}" if denied["namespace"] else ""
        return (
            f"`{plain(denied['user'])}` may not {plain(denied['verb'])} {plain(denied['resource'])}{where}. "
            "Grant it: kubectl apply -k deploy/kubernetes"
        )
    if kind in ("not_found", "forbidden"):
        return f"{message}."
    return f"{message}. {_DO.get(kind, '')}".rstrip()
