"""How the server says no: a Status object with the reason, the details and the words of the real one (1.20.2).

Each function makes one refusal. It must not know why it is refused.
"""

from __future__ import annotations

import re
from typing import Any

from deploy.local.kubernetes.resources import Resource

Json = dict[str, Any]


class Refusal(Exception):  # noqa: N818 - it is an answer, not an error
    """An answer other than what was asked for."""

    def __init__(
        self,
        code: int,
        reason: str,
        message: str,
        *,
        details: Json | None = None,
        headers: dict[str, str] | None = None,
        text: str = "",
    ) -> None:
        super().__init__(message)
        self.code = code
        self.headers = headers or {}
        self.body: Json | str = text or status(code, reason, message, details)


def status(code: int, reason: str, message: str, details: Json | None = None) -> Json:
    """A Status that tells a failure. The server leaves out what is empty."""
    parts = {"message": message, "reason": reason, "details": details}
    said = {key: part for key, part in parts.items() if part not in ("", None)}
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", **said, "code": code}


def success(resource: Resource, name: str, uid: str) -> Json:
    """The Status that stands for an object that is gone."""
    details = _about(resource.plural, name, resource.group) | {"uid": uid}
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}


def _about(kind: str, name: str = "", group: str = "") -> Json:
    named = {"name": name, "group": group, "kind": kind}
    return {key: value for key, value in named.items() if value}


def unauthorized() -> Refusal:
    """A token that nobody has."""
    return Refusal(401, "Unauthorized", "Unauthorized")


def forbidden(resource: Resource, name: str, why: str, causes: list[Json] | None = None) -> Refusal:
    """What may not be done, and why."""
    about = _about(resource.plural, name, resource.group) | ({"causes": causes} if causes else {})
    named = f'{resource.said} "{name}"' if name else resource.said
    return Refusal(403, "Forbidden", f"{named} is forbidden: {why}", details=about)


def terminating(resource: Resource, name: str, namespace: str) -> Refusal:
    """A namespace that is on its way out takes nothing new."""
    cause = {
        "reason": "NamespaceTerminating",
        "message": f"namespace {namespace} is being terminated",
        "field": "metadata.namespace",
    }
    why = f"unable to create new content in namespace {namespace} because it is being terminated"
    return forbidden(resource, name, why, [cause])


def not_found(resource: Resource, name: str) -> Refusal:
    """No object of that name."""
    details = _about(resource.plural, name, resource.group)
    return Refusal(404, "NotFound", f'{resource.said} "{name}" not found', details=details)


def no_such_path() -> Refusal:
    """A group that is known, and nothing at that path."""
    return Refusal(404, "NotFound", "the server could not find the requested resource", details={})


def no_such_group() -> Refusal:
    """Nothing there at all: plain text, as the real server says it."""
    return Refusal(404, "", "", text="404 page not found\n")


def wrong_method() -> Refusal:
    """A thing that cannot be asked this way."""
    message = "the server does not allow this method on the requested resource"
    return Refusal(405, "MethodNotAllowed", message, details={})


def bad(message: str) -> Refusal:
    """A request that makes no sense."""
    return Refusal(400, "BadRequest", message)


def exists(resource: Resource, name: str) -> Refusal:
    """The name is taken."""
    details = _about(resource.plural, name, resource.group)
    return Refusal(409, "AlreadyExists", f'{resource.said} "{name}" already exists', details=details)


def modified(resource: Resource, name: str) -> Refusal:
    """The version that was given is no longer the newest."""
    why = "the object has been modified; please apply your changes to the latest version and try again"
    return conflict(resource.said, name, why, _about(resource.plural, name, resource.group))


def precondition(resource: Resource, name: str, field: str, wanted: str, is_now: str) -> Refusal:
    """``field`` is UID or ResourceVersion."""
    passed = "deleted and then recreated" if field == "UID" else "modified"
    why = f"the {field} in the precondition ({wanted}) does not match the {field} in record ({is_now}). "
    return conflict(resource.kind, name, f"{why}The object might have been {passed}", _about(resource.kind, name))


def conflict(said: str, name: str, why: str, details: Json) -> Refusal:
    """What is wished does not go together with what is."""
    return Refusal(409, "Conflict", f'Operation cannot be fulfilled on {said} "{name}": {why}', details=details)


def invalid(resource: Resource, name: str, field: str, says: str) -> Refusal:
    """``says`` begins as the server's words do: Required value, Invalid value, Unsupported value."""
    kinds = {
        "Required": "FieldValueRequired",
        "Unsupported": "FieldValueNotSupported",
        "Forbidden": "FieldValueForbidden",
    }
    cause = {
        "reason": kinds.get(re.split("[ :]", says, maxsplit=1)[0], "FieldValueInvalid"),
        "message": says,
        "field": field,
    }
    about = _about(resource.kind, name, resource.group) | {"causes": [cause]}
    return Refusal(422, "Invalid", f'{resource.kind} "{name}" is invalid: {field}: {says}', details=about)


def expired(message: str) -> Refusal:
    """What was asked about is too long ago."""
    return Refusal(410, "Expired", message)


def not_modelled(what: str) -> Refusal:
    """Louder than anything the real server says: a test must not pass because of something that is not here."""
    return Refusal(501, "NotImplemented", f"this local Kubernetes does not model {what}: teach it, or do without")
