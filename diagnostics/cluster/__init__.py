"""The Kubernetes API: the one door to it, and what it says about a node.

``KubeApi`` takes and gives plain dicts and raises ``ClusterError``; ``view`` makes the values of ``model`` out of
them. Nothing here knows what a probe reports or what a conntrack table is.
"""

from __future__ import annotations

from diagnostics.cluster.api import KubeApi
from diagnostics.cluster.view import view

__all__ = ["KubeApi", "view"]
