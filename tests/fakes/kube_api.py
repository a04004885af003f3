"""The small Kubernetes API that the product ships for its demo, under the names that tests know."""

from __future__ import annotations

from deploy.local.kubernetes.access import ADMIN_TOKEN as TOKEN
from deploy.local.kubernetes.faults import Fault as Illness
from deploy.local.kubernetes.running import kubeconfig
from deploy.local.kubernetes.server import serving
from deploy.local.kubernetes.state import Cluster

__all__ = ["TOKEN", "Cluster", "Illness", "kubeconfig", "serving"]
