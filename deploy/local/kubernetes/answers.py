"""What the server answers to a permitted request: create, get, list, update, patch, delete, and the parts of a pod.

Every function takes the state and a request, and gives a status code and an object, or raises Refusal. The lock is
held around all of it. It must not know HTTP, nor who asks.
"""

from __future__ import annotations

import copy
import secrets
from collections.abc import Callable

from deploy.local.kubernetes import controllers, eviction, lifecycle, patches, refusals, validation
from deploy.local.kubernetes.asked import Asked
from deploy.local.kubernetes.refusals import Refusal
from deploy.local.kubernetes.selection import selects
from deploy.local.kubernetes.state import Cluster, Json, key_of, now, uid_of

Answer = tuple[int, Json | str]
KEPT_PAGES = 200


def answer(cluster: Cluster, asked: Asked) -> Answer:
    """The answer to everything but a watch."""
    found = _ANSWERS.get((asked.verb, asked.subresource))
    if found is None:
        raise refusals.not_modelled(f"{asked.verb} of {asked.wish.resource}")
    return (201 if asked.verb == "create" else 200), found(cluster, asked)


def _existing(cluster: Cluster, asked: Asked) -> Json:
    thing = cluster.get(asked.resource.plural, asked.name, asked.namespace)
    if thing is None:
        raise refusals.not_found(asked.resource, asked.name)
    return thing


# ---- create ---------------------------------------------------------------------------------------------------------


def _create(cluster: Cluster, asked: Asked) -> Json:
    resource, thing = asked.resource, dict(copy.deepcopy(asked.body))
    meta = thing.setdefault("metadata", {})
    if asked.namespace:
        if meta.setdefault("namespace", asked.namespace) != asked.namespace:
            raise refusals.bad("the namespace of the provided object does not match the namespace sent on the request")
        _check_namespace(cluster, asked, str(meta.get("name") or ""))
    if not meta.get("name") and meta.get("generateName"):
        meta["name"] = meta["generateName"] + controllers.suffix()
    thing |= {"kind": resource.kind, "apiVersion": resource.api_version}
    validation.check(cluster, resource, thing)
    if key_of(resource.plural, thing) in cluster.objects:
        raise refusals.exists(resource, meta["name"])
    meta |= {"uid": validation.new_uid(), "creationTimestamp": now()}
    validation.complete(cluster, resource, thing)
    if asked.is_dry:
        return thing
    cluster.put(resource.plural, thing)
    shown = copy.deepcopy(thing)
    _follow(cluster, asked, thing)
    return shown


def _follow(cluster: Cluster, asked: Asked, thing: Json) -> None:
    """What a creation sets going."""
    if asked.resource.plural == "pods" and thing["spec"].get("nodeName"):
        lifecycle.begin(cluster, thing)
    if asked.resource.plural == "namespaces":
        cluster.add("serviceaccounts", "default", thing["metadata"]["name"])


def _check_namespace(cluster: Cluster, asked: Asked, name: str) -> None:
    namespace = cluster.get("namespaces", asked.namespace)
    if namespace is None:
        raise refusals.not_found(validation.NAMESPACES, asked.namespace)
    if (namespace.get("status") or {}).get("phase") == "Terminating":
        raise refusals.terminating(asked.resource, name, asked.namespace)


# ---- lists ----------------------------------------------------------------------------------------------------------


def _list(cluster: Cluster, asked: Asked) -> Json:
    query, limit = asked.query, int(asked.query.get("limit") or 0)
    if query.get("continue"):
        if query.get("resourceVersion") not in (None, "", "0"):
            raise refusals.bad("specifying resource version is not allowed when using continue")
        things = _continued(cluster, str(query["continue"]))
    else:
        is_meant = selects(asked.resource, query)
        things = [one for one in cluster.of_kind(asked.resource.plural, asked.namespace or None) if is_meant(one)]
    # Old servers pass over the limit where the list may come from their cache.
    if cluster.ignores_limits and query.get("resourceVersion") == "0":
        limit = 0
    meta: Json = {"resourceVersion": str(cluster.newest)}
    if limit and len(things) > limit:
        meta["continue"] = _kept(cluster, things[limit:])
        if not query.get("labelSelector") and not query.get("fieldSelector"):
            meta["remainingItemCount"] = len(things) - limit
        things = things[:limit]
    head = {"kind": f"{asked.resource.kind}List", "apiVersion": _api_version(asked)}
    items = [{key: part for key, part in one.items() if key not in ("kind", "apiVersion")} for one in things]
    return {**head, "metadata": meta, "items": items}


def _api_version(asked: Asked) -> str:
    return f"{asked.resource.group}/{asked.version}" if asked.resource.group else asked.version


def _kept(cluster: Cluster, things: list[Json]) -> str:
    """A continuation is of the list as it was: what is created meanwhile is not in it."""
    while len(cluster.pages) >= KEPT_PAGES:
        del cluster.pages[next(iter(cluster.pages))]
    token = secrets.token_urlsafe(24)
    cluster.pages[token] = copy.deepcopy(things)
    return token


def _continued(cluster: Cluster, token: str) -> list[Json]:
    if len(token) != 32:
        raise refusals.bad("invalid continue token: continue key is not valid")
    if token not in cluster.pages:
        raise refusals.expired(
            "The provided continue parameter is too old to display a consistent list result. You can start a new list "
            "without the continue parameter, or use the continue token in this response to retrieve the remainder of "
            "the results. Continuing with the provided token results in an inconsistent list - objects that were "
            "created, modified, or deleted between the time the first chunk was returned and now may show up "
            "in the list."
        )
    return cluster.pages[token]


# ---- change ---------------------------------------------------------------------------------------------------------


def _change(cluster: Cluster, asked: Asked) -> Json:
    """Update or patch an object, its status or its scale."""
    old = _existing(cluster, asked)
    new = _wanted(asked, old)
    _check_identity(asked, old, new["metadata"])
    kept = _changed(asked, old, new)
    if kept != old and not asked.is_dry:
        cluster.put(asked.resource.plural, kept)
        if kept["metadata"].get("deletionTimestamp") and not kept["metadata"].get("finalizers"):
            lifecycle.vanish(cluster, asked.resource.plural, kept)
    return _scaled(kept) if asked.subresource == "scale" else kept


def _wanted(asked: Asked, old: Json) -> Json:
    """The object as the request wants it."""
    new = copy.deepcopy(asked.body)
    if asked.verb == "patch":
        shown = _scaled(old) if asked.subresource == "scale" else old
        new = patches.patched(copy.deepcopy(shown), new, asked.content_type)
    new.setdefault("metadata", {})
    return dict(new)


def _changed(asked: Asked, old: Json, new: Json) -> Json:
    """What becomes of the stored object: each path changes its own part."""
    if asked.subresource == "scale":
        return old | {"spec": old["spec"] | {"replicas": int(new["spec"]["replicas"])}}
    if asked.subresource == "status":
        return old | {"status": new.get("status")}
    kept = _same_identity(new, old)
    validation.check_change(asked.resource, old, kept)
    return kept


def _check_identity(asked: Asked, old: Json, meta: Json) -> None:
    """Raises Refusal where the request means another object, or another state of it."""
    named = meta.setdefault("name", asked.name)
    if named != asked.name:
        raise refusals.bad(f"the name of the object ({named}) does not match the name on the URL ({asked.name})")
    if meta.get("resourceVersion") not in (None, "", old["metadata"]["resourceVersion"]):
        raise refusals.modified(asked.resource, asked.name)
    if meta.get("uid", uid_of(old)) != uid_of(old):
        raise _wrong_uid(asked, str(meta["uid"]), uid_of(old))


def _wrong_uid(asked: Asked, given: str, is_now: str) -> Refusal:
    if asked.verb == "patch":
        says = f'Invalid value: "{given}": field is immutable'
        return refusals.invalid(asked.resource, asked.name, "metadata.uid", says)
    why = f"Precondition failed: UID in precondition: {given}, UID in object meta: {is_now}"
    details = {"name": asked.name, "kind": asked.resource.plural}
    return refusals.conflict(asked.resource.said, asked.name, f"StorageError: invalid object, {why}", details)


def _same_identity(new: Json, old: Json) -> Json:
    """An update cannot change who an object is; its status has a path of its own."""
    kept = ("uid", "creationTimestamp", "resourceVersion", "namespace", "deletionTimestamp", "generation")
    same = {key: old["metadata"][key] for key in kept if key in old["metadata"]}
    new |= {"metadata": new["metadata"] | same, "kind": old["kind"], "apiVersion": old["apiVersion"]}
    return new | ({"status": old["status"]} if "status" in old else {})


def _scale(cluster: Cluster, asked: Asked) -> Json:
    return _scaled(_existing(cluster, asked))


def _scaled(thing: Json) -> Json:
    kept = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    meta = {key: value for key, value in thing["metadata"].items() if key in kept}
    replicas = thing["spec"].get("replicas", 1)
    running = (thing.get("status") or {}).get("replicas", replicas)
    head = {"kind": "Scale", "apiVersion": "autoscaling/v1"}
    return {**head, "metadata": meta, "spec": {"replicas": replicas}, "status": {"replicas": running}}


# ---- delete ---------------------------------------------------------------------------------------------------------


def _delete(cluster: Cluster, asked: Asked) -> Json:
    return _deleted(cluster, asked, _existing(cluster, asked))


def _deleted(cluster: Cluster, asked: Asked, thing: Json) -> Json:
    options = asked.body or {}
    validation.check_preconditions(asked.resource, thing, options.get("preconditions") or {})
    is_dry = asked.is_dry or bool(options.get("dryRun"))
    grace = options.get("gracePeriodSeconds", asked.query.get("gracePeriodSeconds"))
    gone = refusals.success(asked.resource, thing["metadata"]["name"], uid_of(thing))
    if is_dry:
        return copy.deepcopy(thing) if asked.resource.plural in _SHOWN_WHEN_DELETED else gone
    if asked.resource.plural == "namespaces":
        thing["status"] = {"phase": "Terminating"}
        thing["metadata"]["deletionTimestamp"] = now()
        cluster.put("namespaces", thing)
    else:
        lifecycle.end(cluster, asked.resource.plural, thing, None if grace is None else int(grace))
    return copy.deepcopy(thing) if asked.resource.plural in _SHOWN_WHEN_DELETED else gone


_SHOWN_WHEN_DELETED = ("pods", "namespaces")  # what ends gracefully is shown, of the rest only that it is gone


def _delete_all(cluster: Cluster, asked: Asked) -> Json:
    listed = _list(cluster, asked)
    is_meant = selects(asked.resource, asked.query)
    for thing in cluster.of_kind(asked.resource.plural, asked.namespace or None):
        if is_meant(thing):
            _deleted(cluster, asked, thing)
    return listed


# ---- the parts of a pod ---------------------------------------------------------------------------------------------


def _bind(cluster: Cluster, asked: Asked) -> Json:
    body = asked.body or {}
    pod, target = _existing(cluster, asked), (body.get("target") or {}).get("name") or ""
    if (body.get("metadata") or {}).get("name") != asked.name:
        raise refusals.bad("name in URL does not match name in Binding object")
    if pod["spec"].get("nodeName"):
        bound = f'pod {asked.name} is already assigned to node "{pod["spec"]["nodeName"]}"'
        details = {"name": asked.name, "kind": "pods/binding"}
        raise refusals.conflict("pods/binding", asked.name, bound, details)
    controllers.bind(cluster, pod, target)
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}


def _log(cluster: Cluster, asked: Asked) -> str:
    """The kubelet is asked over a new connection, which a node that drops them does not take."""
    pod = _existing(cluster, asked)
    spec, node = pod["spec"], pod["spec"].get("nodeName") or ""
    container = asked.query.get("container") or spec["containers"][0]["name"]
    statuses = pod["status"].get("initContainerStatuses", []) + pod["status"].get("containerStatuses", [])
    state: Json = next((one["state"] for one in statuses if one["name"] == container), {"waiting": {}})
    kubelet = cluster.kubelets.get(node)
    if kubelet is None or not kubelet.answers_logs or kubelet.acknowledges_after_seconds is None:
        host = pod["status"].get("hostIP") or node
        url = f"https://{host}:10250/containerLogs/{asked.namespace}/{asked.name}/{container}"
        raise Refusal(500, "", f'Get "{url}": dial tcp {host}:10250: i/o timeout')
    if "waiting" in state:
        reason = state["waiting"].get("reason") or "ContainerCreating"
        raise refusals.bad(f'container "{container}" in pod "{asked.name}" is waiting to start: {reason}')
    runs = kubelet.runs_of(pod)
    return runs[container].log if container in runs else ""


def _evict(cluster: Cluster, asked: Asked) -> Json:
    return eviction.evict(cluster, asked, _existing(cluster, asked))


_ANSWERS: dict[tuple[str, str], Callable[[Cluster, Asked], Json | str]] = {
    ("list", ""): _list,
    ("deletecollection", ""): _delete_all,
    ("create", ""): _create,
    ("create", "eviction"): _evict,
    ("create", "binding"): _bind,
    ("get", ""): _existing,
    ("get", "status"): _existing,
    ("get", "log"): _log,
    ("get", "scale"): _scale,
    ("delete", ""): _delete,
    ("patch", ""): _change,
    ("patch", "status"): _change,
    ("patch", "scale"): _change,
    ("update", ""): _change,
    ("update", "status"): _change,
    ("update", "scale"): _change,
}
