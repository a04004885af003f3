"""How the API can be ill: some requests are answered with something else, late, or not at all.

It must not know what the requests are for.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from deploy.local.kubernetes.state import Cluster

Json = dict[str, Any]


@dataclass
class Fault:
    """How requests that match are answered instead. ``times`` counts down; None never ends.

    ``status`` and ``body`` answer; ``drop`` closes the connection without a word, ``drop_after`` after having carried
    the request out; ``delay_seconds`` comes first.
    """

    verb: str
    path: str
    status: int = 0
    body: Json | str = ""
    drop: bool = False
    drop_after: bool = False
    delay_seconds: float = 0.0
    times: int | None = 1
    headers: Mapping[str, str] = field(default_factory=dict)


def overloaded(verb: str, path: str, times: int | None = 1) -> Fault:
    """API priority and fairness turns a request away (apiserver: ``tooManyRequests``)."""
    says = "Too many requests, please try again later."
    return Fault(verb, path, 429, says, times=times, headers={"Retry-After": "1"})


def struck(cluster: Cluster, verb: str, path: str) -> Fault | None:
    """The fault that this request meets."""
    with cluster.lock:
        for fault in cluster.faults:
            if fault.verb == verb and re.search(fault.path, path) and fault.times != 0:
                if fault.times is not None:
                    fault.times -= 1
                return fault
    return None
