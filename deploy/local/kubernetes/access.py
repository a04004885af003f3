"""Who asks, and what they may: bearer tokens, roles as they are stored, impersonation, access reviews.

The roles are objects in the state, so the ones that are shipped in deploy/kubernetes are judged as they are written.
It must not know what is done with a permitted request.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from deploy.local.kubernetes import refusals
from deploy.local.kubernetes.resources import BY_PLURAL, Resource
from deploy.local.kubernetes.state import Cluster

Json = dict[str, Any]

ADMIN_TOKEN = "made-up-admin-token"  # noqa: S105 - it opens nothing but this API on loopback
BOT_TOKEN = "made-up-bot-token"  # noqa: S105 - the same
_EVERYBODY = ("system:authenticated",)
_MASTERS = "system:masters"
_SERVICE_ACCOUNT = "system:serviceaccount:"
_USER = "authentication.k8s.io"


@dataclass(frozen=True, slots=True)
class Account:
    """Somebody: a name and groups, and the extras of an impersonation."""

    name: str
    groups: tuple[str, ...] = ()
    extras: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def may_all(self) -> bool:
        """Whether no role is asked."""
        return _MASTERS in self.groups


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody wants to do. ``resource`` has its subresource: "pods/eviction"."""

    verb: str
    group: str
    resource: str
    namespace: str = ""
    name: str = ""


BOT = Account("system:serviceaccount:conntrack-bot:conntrack-bot")
# The same name with every right, so that a test of something else needs no roles and reads the same refusals.
ADMIN = Account(BOT.name, (_MASTERS,))


def who(cluster: Cluster, headers: Mapping[str, str]) -> Account:
    """Whose request it is; ``headers`` have lower-case names. Raises Refusal."""
    token = (headers.get("authorization") or "").removeprefix("Bearer ").strip()
    if not token:
        return Account("system:anonymous", ("system:unauthenticated",))
    account = cluster.accounts.get(token) or {ADMIN_TOKEN: ADMIN, BOT_TOKEN: BOT}.get(token)
    if account is None:
        raise refusals.unauthorized()
    return _impersonated(cluster, account, headers)


def _impersonated(cluster: Cluster, account: Account, headers: Mapping[str, str]) -> Account:
    """Whom the account stands in for; it must be allowed each part: the user, the groups, every extra."""
    user = headers.get("impersonate-user")
    if not user:
        return account
    groups = tuple(filter(None, [headers.get("impersonate-group")]))
    prefix = "impersonate-extra-"
    extras = {key.removeprefix(prefix): (value,) for key, value in headers.items() if key.startswith(prefix)}
    for wish in _impersonation(user, groups, extras):
        if not may(cluster, account, wish):
            raise _no_impersonation(account, wish)
    agent = headers.get("user-agent") or ""
    said = {"user": account.name, "as": user, "extra": {key: list(one) for key, one in extras.items()}, "agent": agent}
    cluster.impersonations.append(said)
    return Account(user, groups or _groups_of(user), extras)


def _impersonation(user: str, groups: tuple[str, ...], extras: Mapping[str, tuple[str, ...]]) -> Iterator[Wish]:
    if user.startswith(_SERVICE_ACCOUNT):
        namespace, _, name = user.removeprefix(_SERVICE_ACCOUNT).partition(":")
        yield Wish("impersonate", "", "serviceaccounts", namespace, name)
    else:
        yield Wish("impersonate", "", "users", "", user)
    for group in groups:
        yield Wish("impersonate", "", "groups", "", group)
    for key, values in extras.items():
        for value in values:
            yield Wish("impersonate", _USER, f"userextras/{key}", "", value)


def _groups_of(user: str) -> tuple[str, ...]:
    if not user.startswith(_SERVICE_ACCOUNT):
        return _EVERYBODY
    namespace = user.removeprefix(_SERVICE_ACCOUNT).partition(":")[0]
    return ("system:serviceaccounts", f"system:serviceaccounts:{namespace}", *_EVERYBODY)


def _no_impersonation(account: Account, wish: Wish) -> refusals.Refusal:
    resource = BY_PLURAL.get(wish.resource) or Resource(wish.resource, "", wish.group, is_namespaced=False)
    return refusals.forbidden(resource, wish.name, _cannot(account, wish))


# ---- what they may --------------------------------------------------------------------------------------------------


def check(cluster: Cluster, account: Account, wish: Wish, resource: Resource) -> None:
    """Raises Refusal where the account may not."""
    if (wish.verb, wish.resource) in cluster.forbidden or not may(cluster, account, wish):
        raise refusals.forbidden(resource, wish.name, _cannot(account, wish))


def _cannot(account: Account, wish: Wish) -> str:
    where = f'in the namespace "{wish.namespace}"' if wish.namespace else "at the cluster scope"
    group = f'API group "{wish.group}"'
    return f'User "{account.name}" cannot {wish.verb} resource "{wish.resource}" in {group} {where}'


def may(cluster: Cluster, account: Account, wish: Wish) -> bool:
    """Whether a stored role permits it."""
    if account.may_all:
        return True
    return any(_permits(rule, wish) for rule in _rules(cluster, account, wish.namespace))


def _rules(cluster: Cluster, account: Account, namespace: str) -> Iterator[Json]:
    bindings = [("", one) for one in cluster.of_kind("clusterrolebindings")]
    if namespace:
        bindings += [(namespace, one) for one in cluster.of_kind("rolebindings", namespace)]
    for where, binding in bindings:
        if not any(_is_meant(subject, account) for subject in binding.get("subjects") or []):
            continue
        reference = binding["roleRef"]
        is_role = reference["kind"] == "Role"
        role = cluster.get("roles" if is_role else "clusterroles", reference["name"], where if is_role else "")
        yield from (role or {}).get("rules") or []


def _is_meant(subject: Json, account: Account) -> bool:
    if subject["kind"] == "ServiceAccount":
        return account.name == f"{_SERVICE_ACCOUNT}{subject.get('namespace', '')}:{subject['name']}"
    names = account.groups if subject["kind"] == "Group" else (account.name,)
    return subject["name"] in names


def _permits(rule: Json, wish: Wish) -> bool:
    names = rule.get("resourceNames") or []
    return (
        _has(rule.get("verbs"), wish.verb)
        and _has(rule.get("apiGroups"), wish.group)
        and (_has(rule.get("resources"), wish.resource) or f"*/{wish.resource.partition('/')[2]}" in rule["resources"])
        and (not names or wish.name in names)
    )


def _has(listed: list[str] | None, one: str) -> bool:
    return one in (listed or []) or "*" in (listed or [])


def reviewed(cluster: Cluster, account: Account, body: Json) -> Json:
    """A SelfSubjectAccessReview with its answer."""
    asked = (body.get("spec") or {}).get("resourceAttributes") or {}
    plural = asked.get("resource", "")
    resource = f"{plural}/{asked['subresource']}" if asked.get("subresource") else plural
    wish = Wish(
        asked.get("verb", ""), asked.get("group", ""), resource, asked.get("namespace", ""), asked.get("name", "")
    )
    allowed = (wish.verb, resource) not in cluster.forbidden and may(cluster, account, wish)
    head = {"kind": "SelfSubjectAccessReview", "apiVersion": "authorization.k8s.io/v1"}
    return {**head, "metadata": {"creationTimestamp": None}, "spec": body.get("spec"), "status": {"allowed": allowed}}
