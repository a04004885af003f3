"""Eviction: the deletion of a pod that its disruption budgets have to allow.

The order of the checks and each answer are those of registry/core/pod/storage/eviction.go, as measured on 1.20.2. It
must not know who wants the pod gone.
"""

from __future__ import annotations

from deploy.local.kubernetes import controllers, lifecycle, refusals, validation
from deploy.local.kubernetes.asked import Asked
from deploy.local.kubernetes.refusals import Refusal
from deploy.local.kubernetes.state import Cluster, Json

_UNGUARDED = ("Succeeded", "Failed", "Pending")
BUSY_SECONDS = 10


def evict(cluster: Cluster, asked: Asked, pod: Json) -> Json:
    """Raises Refusal where a budget, or a precondition, is against it."""
    body = asked.body or {}
    options = body.get("deleteOptions") or {}
    _check_version(cluster, body)
    namespace = cluster.get("namespaces", asked.namespace) or {}
    if (namespace.get("status") or {}).get("phase") == "Terminating":
        raise refusals.terminating(asked.resource, asked.name, asked.namespace)
    is_dry = asked.is_dry or options.get("dryRun") == ["All"]
    is_guarded = (pod.get("status") or {}).get("phase") not in _UNGUARDED
    validation.check_preconditions(asked.resource, pod, options.get("preconditions") or {})
    if is_guarded and not pod["metadata"].get("deletionTimestamp"):
        _ask_budgets(cluster, pod, is_dry)
    if not is_dry:
        lifecycle.stop(cluster, pod, options.get("gracePeriodSeconds"))
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}


def _check_version(cluster: Cluster, body: Json) -> None:
    """Servers before 1.22 know policy/v1beta1 only, those from 1.25 on policy/v1 only; without a version all do."""
    given = body.get("apiVersion")
    minor = int(cluster.version.split(".")[1])
    known = {"policy/v1beta1"} if minor < 22 else {"policy/v1"} if minor >= 25 else {"policy/v1", "policy/v1beta1"}
    if given and given not in known:
        version = given.rpartition("/")[2]
        raise refusals.bad(
            f'Eviction in version "{version}" cannot be handled as a Eviction: no kind "Eviction" is registered for '
            f'version "{given}" in scheme "k8s.io/kubernetes/pkg/api/legacyscheme/scheme.go:30"'
        )


def _ask_budgets(cluster: Cluster, pod: Json, is_dry: bool) -> None:
    budgets = [
        one
        for one in cluster.of_kind("poddisruptionbudgets", pod["metadata"]["namespace"])
        if any(covered is pod for covered in controllers.covered_by(cluster, one))
    ]
    if len(budgets) > 1:
        says = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."
        raise Refusal(500, "", says)
    for budget in budgets:
        _spend(cluster, budget, is_dry)


def _spend(cluster: Cluster, budget: Json, is_dry: bool) -> None:
    status, name = budget.get("status") or {}, budget["metadata"]["name"]
    if status.get("observedGeneration", 0) < budget["metadata"].get("generation", 1):
        says = f"The disruption budget {name} is still being processed by the server."
        raise _refused(says, {"retryAfterSeconds": BUSY_SECONDS}, {"Retry-After": str(BUSY_SECONDS)})
    if status["disruptionsAllowed"] <= 0:
        wanted, healthy = status["desiredHealthy"], status["currentHealthy"]
        says = f"The disruption budget {name} needs {wanted} healthy pods and has {healthy} currently"
        raise _refused(says, {}, {})
    if not is_dry:
        status["disruptionsAllowed"] -= 1
        cluster.put("poddisruptionbudgets", budget)


def _refused(says: str, details: Json, headers: dict[str, str]) -> Refusal:
    about = details | {"causes": [{"reason": "DisruptionBudget", "message": says}]}
    message = "Cannot evict pod as it would violate the pod's disruption budget."
    return Refusal(429, "TooManyRequests", message, details=about, headers=headers)
