"""The kubelet of the small Kubernetes API that the product ships for its demo."""

from __future__ import annotations

from deploy.local.kubernetes.kubelet import Kubelet, Run

__all__ = ["Kubelet", "Run"]
