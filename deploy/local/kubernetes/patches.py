"""The three ways to patch an object: JSON patch, merge patch, strategic merge patch. Pure: an object in, a new one out.

RFC 6902, RFC 7386, and apimachinery's ``strategicpatch`` for the lists that the product and its tests touch. It must
not know which object it is.
"""

from __future__ import annotations

import copy
from typing import Any

from deploy.local.kubernetes.refusals import Refusal, not_modelled

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"

# Lists that are merged by a key of their elements; every other list is replaced (patchMergeKey in the API's types).
_KEYS = {
    "containers": "name",
    "initContainers": "name",
    "volumes": "name",
    "env": "name",
    "imagePullSecrets": "name",
    "conditions": "type",
    "addresses": "type",
    "ownerReferences": "uid",
    "volumeMounts": "mountPath",
}
_DIRECTIVES = ("$setElementOrder", "$deleteFromPrimitiveList", "$retainKeys")


def patched(thing: Any, patch: Any, kind: str) -> Any:
    """The object with a patch of this content type. Raises Refusal."""
    if kind == JSON_PATCH:
        return _operated(thing, patch)
    if kind == MERGE_PATCH:
        return _merged(thing, patch)
    if kind == STRATEGIC_PATCH:
        return _strategic(thing, patch)
    raise Refusal(415, "UnsupportedMediaType", "415: Unsupported Media Type", details={})


def _merged(thing: Any, patch: Any) -> Any:
    if not isinstance(patch, dict):
        return patch
    result = dict(thing) if isinstance(thing, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = _merged(result.get(key), value)
    return result


def _strategic(thing: Any, patch: Any) -> Any:
    if not isinstance(patch, dict):
        return patch
    patch = dict(patch)
    if patch.pop("$patch", "") == "replace":
        return patch
    result = dict(thing) if isinstance(thing, dict) else {}
    for key, value in patch.items():
        if key.startswith(_DIRECTIVES):
            raise not_modelled(f"the directive {key} of strategic merge patches")
        if value is None:
            result.pop(key, None)
        elif isinstance(value, list) and key in _KEYS:
            result[key] = _keyed(result.get(key) or [], value, _KEYS[key])
        else:
            result[key] = _strategic(result.get(key), value)
    return result


def _keyed(things: list[Any], patches: list[Any], key: str) -> list[Any]:
    result = list(things)
    for patch in patches:
        place = next((at for at, one in enumerate(result) if one.get(key) == patch.get(key)), None)
        if patch.get("$patch") == "delete":
            result = [one for one in result if one.get(key) != patch.get(key)]
        elif place is None:
            result.append(patch)
        else:
            result[place] = _strategic(result[place], patch)
    return result


# ---- RFC 6902 -------------------------------------------------------------------------------------------------------


def _operated(thing: Any, operations: Any) -> Any:
    whole = {"": copy.deepcopy(thing)}
    try:
        for one in operations:
            _operate(whole, one)
    except (KeyError, IndexError, ValueError, TypeError) as error:
        message = "the server rejected our request due to an error in our request"
        raise Refusal(422, "Invalid", message, details={}) from error
    return whole[""]


def _operate(whole: Any, one: dict[str, Any]) -> None:
    path, how = one["path"], one["op"]
    if how == "test":
        if _at(whole, path) != one["value"]:
            raise ValueError(path)
    elif how == "remove":
        _take(whole, path)
    elif how == "replace":
        _take(whole, path)
        _put(whole, path, one["value"])
    elif how == "add":
        _put(whole, path, one["value"])
    elif how == "move":
        _put(whole, path, _take(whole, one["from"]))
    elif how == "copy":
        _put(whole, path, copy.deepcopy(_at(whole, one["from"])))
    else:
        raise ValueError(how)


def _place(whole: Any, path: str) -> tuple[Any, str]:
    """What holds the place that a pointer names, and the last step to it."""
    steps = [step.replace("~1", "/").replace("~0", "~") for step in path.split("/")]
    holder = whole
    for step in steps[:-1]:
        holder = holder[int(step)] if isinstance(holder, list) else holder[step]
    return holder, steps[-1]


def _at(whole: Any, path: str) -> Any:
    holder, last = _place(whole, path)
    return holder[int(last)] if isinstance(holder, list) else holder[last]


def _take(whole: Any, path: str) -> Any:
    holder, last = _place(whole, path)
    return holder.pop(int(last)) if isinstance(holder, list) else holder.pop(last)


def _put(whole: Any, path: str, value: Any) -> None:
    holder, last = _place(whole, path)
    if isinstance(holder, list):
        holder.insert(len(holder) if last == "-" else int(last), value)
    else:
        holder[last] = value
