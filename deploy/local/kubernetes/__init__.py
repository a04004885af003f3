"""A small Kubernetes API on loopback, with state, and nodes that answer from recordings.

It behaves like the real server where the product relies on it (codes and texts of 1.20.2, kept honest by one
conformance suite for both), and can be told to be ill. It refuses what it does not know, so that nothing passes because
of something that is not modelled. Standard library, and the probe's envelope; it must not know the bot.
"""

from deploy.local.kubernetes.faults import Fault, overloaded
from deploy.local.kubernetes.kubelet import Kubelet, Run
from deploy.local.kubernetes.running import CONTEXT, FLEET, LocalKubernetes, kubeconfig, running
from deploy.local.kubernetes.server import serving
from deploy.local.kubernetes.state import Cluster

__all__ = [
    "CONTEXT",
    "FLEET",
    "Cluster",
    "Fault",
    "Kubelet",
    "LocalKubernetes",
    "Run",
    "kubeconfig",
    "overloaded",
    "running",
    "serving",
]
