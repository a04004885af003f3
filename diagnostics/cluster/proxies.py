"""How Services are implemented on a node, from the pods that run there: kube-proxy's mode, or what stands in for it.

It matters twice: some of them do not use nf_conntrack at all, and kube-proxy sets nf_conntrack_max when it starts. Pods
tell; it must not know what follows from the answer.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from diagnostics.cluster.api import KubeApi
from diagnostics.cluster.objects import label, mapping, name_of, namespace_of, objects, text, texts
from diagnostics.errors import ClusterError
from diagnostics.model import Known, Reading, Unknown

# What replaces kube-proxy, by the labels of its agent on the node. Only asked where no kube-proxy runs.
_REPLACEMENTS = (
    ("k8s-app", "cilium", "cilium"),
    ("app.kubernetes.io/name", "cilium-agent", "cilium"),
    ("app", "ovnkube-node", "ovn-kubernetes"),
    ("app", "kube-ovn-cni", "kube-ovn"),
    ("app", "antrea", "antrea"),
    ("k8s-app", "kube-router", "ipvs"),
)

_MODE_FLAG = re.compile(r"--proxy-mode[= ]['\"]?(?P<mode>[a-z]*)")
_CONFIG_FLAG = re.compile(r"--config[= ]")
_MODE_SETTING = re.compile(r"^\s*mode:[ \t]*['\"]?(?P<mode>[a-z]*)['\"]?[ \t]*(?:#.*)?$", re.MULTILINE)
_TAG = re.compile(r":(v?\d+\.\d+[^@]*)")

DEFAULT_MODE = "iptables"  # kube-proxy's default on Linux, when its mode is the empty string


def mode(api: KubeApi, pods: Sequence[Mapping[str, Any]]) -> Reading[str]:
    """How Services are implemented on the node of these pods, as ``ClusterView.proxy`` names it."""
    proxy = _kube_proxy(pods)
    if proxy is None:
        return _replacement(pods)
    words = _command_line(proxy)
    by_flag = _MODE_FLAG.search(words)
    # kube-proxy reads its file and passes over the flags when it is given both.
    if not _CONFIG_FLAG.search(words):
        return Known((by_flag["mode"] if by_flag else "") or DEFAULT_MODE)
    return _configured(api, proxy)


def image(pods: Sequence[Mapping[str, Any]]) -> str:
    """kube-proxy's image on the node of these pods; empty where none runs as a pod."""
    proxy = _kube_proxy(pods)
    containers = objects(proxy, "spec", "containers") if proxy is not None else []
    return text(containers[0].get("image")) if containers else ""


def version(image_name: str) -> str:
    """The version in an image's tag: "v1.33.1"; empty where the image is named by digest alone."""
    found = _TAG.search(image_name)
    return found[1] if found else ""


def _kube_proxy(pods: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """Only in a namespace of the platform's: anybody may call a pod kube-proxy elsewhere."""
    for pod in pods:
        ours = namespace_of(pod).startswith(("kube-", "openshift-"))
        named = "kube-proxy" in (label(pod, "k8s-app"), label(pod, "component"), label(pod, "app"))
        if ours and (named or name_of(pod).startswith("kube-proxy")):
            return pod
    return None


def _replacement(pods: Sequence[Mapping[str, Any]]) -> Reading[str]:
    for key, value, name in _REPLACEMENTS:
        if any(label(pod, key) == value for pod in pods):
            return Known(name)
    return Unknown("no kube-proxy pod runs on this node: it may run as the host's own service, as in k3s")


def _command_line(pod: Mapping[str, Any]) -> str:
    containers = objects(pod, "spec", "containers")
    return " ".join(word for one in containers for key in ("command", "args") for word in texts(one, key))


def _configured(api: KubeApi, proxy: Mapping[str, Any]) -> Reading[str]:
    """The mode in the ConfigMap that the kube-proxy pod mounts."""
    names = [text(mapping(volume, "configMap").get("name")) for volume in objects(proxy, "spec", "volumes")]
    why = "kube-proxy's configuration file is not in a ConfigMap"
    for name in filter(None, names):
        try:
            contents = mapping(api.config_map(namespace_of(proxy), name), "data")
        except ClusterError as error:
            why = f"kube-proxy's mode stands in ConfigMap {namespace_of(proxy)}/{name}. {error}"
            continue
        for content in contents.values():
            found = _MODE_SETTING.search(text(content))
            if found:
                return Known(found["mode"] or DEFAULT_MODE)
    return Unknown(why)
