"""Label and field selectors: text from a request in, a claim about an object out. Pure.

The grammar is that of ``k8s.io/apimachinery/pkg/labels`` and ``fields``; the refusals are the server's own words.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from deploy.local.kubernetes.refusals import bad
from deploy.local.kubernetes.resources import ALWAYS_SELECTABLE, Resource

Claim = Callable[[Mapping[str, Any]], bool]

_TERM = re.compile(r"\s*(?:[^,()]|\([^)]*\))+")
_SET = re.compile(r"\s*(?P<key>[^\s!=(),]+)\s+(?P<how>in|notin)\s*\((?P<values>[^)]*)\)\s*")
_EQUAL = re.compile(r"\s*(?P<key>[^\s!=(),]+)\s*(?P<how>==|=|!=)\s*(?P<value>[^\s!=(),]*)\s*")
_THERE = re.compile(r"\s*(?P<not>!?)\s*(?P<key>[^\s!=(),]+)\s*")


def selects(resource: Resource, query: Mapping[str, str]) -> Claim:
    """Whether an object is meant by a request's selectors. Raises Refusal where they cannot be understood."""
    labels = label_claim(query.get("labelSelector") or "")
    fields = _field_claim(resource, query.get("fieldSelector") or "")
    return lambda thing: labels(thing["metadata"].get("labels") or {}) and fields(thing)


def label_claim(selector: str) -> Claim:
    """What a label selector claims about an object's labels."""
    claims = [_label_term(term) for term in _TERM.findall(selector) if term.strip()]
    return lambda labels: all(claim(labels) for claim in claims)


def chosen(selector: Mapping[str, Any] | None, labels: Mapping[str, str]) -> bool:
    """Whether an object's LabelSelector chooses these labels. An empty one chooses everything, none nothing."""
    if selector is None:
        return False
    wanted = selector.get("matchLabels") or {}
    if any(labels.get(key) != value for key, value in wanted.items()):
        return False
    return all(_expression(one, labels) for one in selector.get("matchExpressions") or [])


def _expression(one: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    value, values = labels.get(one["key"]), one.get("values") or []
    how = one["operator"]
    if how == "In":
        return value in values
    if how == "NotIn":
        return value not in values
    return bool((value is not None) == (how == "Exists"))


def _label_term(term: str) -> Claim:
    if found := _SET.fullmatch(term):
        key, values = found["key"], {value.strip() for value in found["values"].split(",")}
        is_in = found["how"] == "in"
        return lambda labels: (labels.get(key) in values) is is_in
    if found := _EQUAL.fullmatch(term):
        key, value, is_equal = found["key"], found["value"], found["how"] != "!="
        return lambda labels: (labels.get(key) == value) is is_equal
    if found := _THERE.fullmatch(term):
        key, is_there = found["key"], not found["not"]
        return lambda labels: (key in labels) is is_there
    second = term.split()[1] if len(term.split()) > 1 else term
    raise bad(f"unable to parse requirement: found '{second}', expected: '=', '!=', '==', 'in', notin'")


def _field_claim(resource: Resource, selector: str) -> Claim:
    claims = [_field_term(resource, term) for term in selector.split(",") if term]
    return lambda thing: all(claim(thing) for claim in claims)


def _field_term(resource: Resource, term: str) -> Claim:
    found = re.fullmatch(r"(?P<path>[^=!]+)(?P<how>==|=|!=)(?P<value>.*)", term)
    if found is None:
        raise bad(f"invalid selector: '{term}'; can't understand '{term}'")
    path, value, is_equal = found["path"], found["value"], found["how"] != "!="
    if path not in (*ALWAYS_SELECTABLE, *resource.selectable):
        raise bad(_unsupported(resource, path))
    return lambda thing: (_said(thing, path) == value) is is_equal


def _unsupported(resource: Resource, path: str) -> str:
    if resource.selectable:
        return f"field label not supported: {path}"
    return f'"{path}" is not a known field selector: only "metadata.name", "metadata.namespace"'


def _said(thing: Mapping[str, Any], path: str) -> str:
    """A field as a selector compares it: text, and empty where it is not there."""
    found: Any = thing
    for key in path.split("."):
        found = (found or {}).get(key) if isinstance(found, Mapping) else None
    if isinstance(found, bool):
        return str(found).lower()
    default = "false" if path == "spec.unschedulable" else ""
    return default if found is None else str(found)
