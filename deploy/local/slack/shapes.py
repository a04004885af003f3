"""How Slack writes down what a workspace holds: messages, people, channels, files, views as JSON. Pure."""

from __future__ import annotations

from deploy.local.slack.state import Channel, File, Group, Json, Message, Person, View, Workspace


def message(workspace: Workspace, one: Message, *, with_metadata: bool = True) -> Json:
    """As in a channel's history. A root says how many replies it has."""
    shape: Json = {"type": "message", "user": one.user, "ts": one.ts, "text": one.text, "team": workspace.team}
    optional = {
        "subtype": one.subtype, "bot_id": one.bot_id, "app_id": one.app_id, "username": one.username,
        "thread_ts": one.thread_ts, "blocks": one.blocks, "attachments": one.attachments, "edited": one.edited,
        "metadata": one.metadata if with_metadata else None,
        "files": [file(workspace, workspace.files[name]) for name in one.files],
        "reactions": [{"name": name, "users": who, "count": len(who)} for name, who in one.reactions.items()],
    }  # fmt: skip
    shape |= {name: value for name, value in optional.items() if value}
    if one.is_reply:
        return shape
    replies = workspace.replies(one.channel, one.ts)
    if replies:
        people = list(dict.fromkeys(reply.user for reply in replies))
        shape |= {
            "thread_ts": one.ts, "reply_count": len(replies), "reply_users": people,
            "reply_users_count": len(people), "latest_reply": replies[-1].ts,
        }  # fmt: skip
    return shape


def person(workspace: Workspace, one: Person) -> Json:
    """As users.info says it: what sort of account it is stands in the flags."""
    is_guest, is_external = one.kind == "guest", one.kind == "external"
    shape: Json = {
        "id": one.id, "team_id": one.team, "name": one.name, "real_name": one.real_name,
        "deleted": one.kind == "deactivated", "tz": "Europe/Berlin", "tz_offset": 3600, "color": "9f69e7",
        "is_bot": one.kind == "bot", "is_app_user": False, "is_admin": False, "is_owner": False,
        "is_primary_owner": False, "is_restricted": is_guest, "is_ultra_restricted": False, "is_stranger": is_external,
        "updated": 1_700_000_000, "who_can_share_contact_card": "EVERYONE",
        "profile": {
            "real_name": one.real_name, "display_name": one.name, "title": one.title, "team": one.team,
            "email": f"{one.name}@example.com",
        },
    }  # fmt: skip
    if is_external:
        shape["enterprise_user"] = {}
    if one.id == workspace.bot_user:
        shape["profile"] |= {"bot_id": workspace.bot, "api_app_id": workspace.app}
    return shape


def channel(workspace: Workspace, one: Channel) -> Json:
    """As conversations.info says it to the app."""
    if one.im_with:
        return {"id": one.id, "is_im": True, "user": one.im_with, "is_archived": False, "created": 1_700_000_000}
    return {
        "id": one.id, "name": one.name, "name_normalized": one.name, "is_channel": not one.is_private,
        "is_group": one.is_private, "is_im": False, "is_mpim": False, "is_private": one.is_private,
        "is_archived": False, "is_general": one.name == "general", "created": 1_700_000_000, "creator": "U0ALICE",
        "is_shared": one.is_ext_shared, "is_org_shared": False, "is_ext_shared": one.is_ext_shared,
        "is_pending_ext_shared": False, "is_member": workspace.bot_user in one.members,
        "context_team_id": workspace.team, "num_members": len(one.members),
        "topic": {"value": one.topic, "creator": "", "last_set": 0},
        "purpose": {"value": "", "creator": "", "last_set": 0},
    }  # fmt: skip


def channel_type(one: Channel) -> str:
    """The word that events use."""
    if one.im_with:
        return "im"
    return "group" if one.is_private else "channel"


def file(workspace: Workspace, one: File) -> Json:
    """An upload. Before it is shared, neither its type nor its places are known."""
    address = f"{workspace.url}/files/{one.id}/{one.name}"
    shape: Json = {
        "id": one.id, "created": int(workspace.now()), "timestamp": int(workspace.now()), "name": one.name,
        "title": one.title, "mimetype": "", "filetype": "", "user": one.user, "size": one.size, "mode": "hosted",
        "is_external": False, "is_public": False, "shares": {}, "channels": [], "groups": [], "ims": [],
        "url_private": address, "permalink": address,
    }  # fmt: skip
    if not one.is_shared:
        return shape
    public: dict[str, list[Json]] = {}
    private: dict[str, list[Json]] = {}
    for place, ts in one.shares:
        where = private if workspace.channels[place].is_private else public
        where.setdefault(place, []).append({"ts": ts})
    shares = {name: places for name, places in (("public", public), ("private", private)) if places}
    extension = one.name.rpartition(".")[2] if "." in one.name else "text"
    more = {"mimetype": one.mimetype, "filetype": extension, "shares": shares, "channels": list(public),
            "groups": list(private), "alt_txt": one.alt_text}  # fmt: skip
    return shape | more


def view(workspace: Workspace, one: View) -> Json:
    """A view as the app gets it back."""
    body = one.body
    return {
        "id": one.id, "team_id": workspace.team, "type": body["type"], "blocks": body["blocks"],
        "private_metadata": body.get("private_metadata", ""), "callback_id": body.get("callback_id", ""),
        "state": {"values": one.values}, "hash": one.hash, "title": body.get("title"), "close": body.get("close"),
        "submit": body.get("submit"), "clear_on_close": body.get("clear_on_close", False),
        "notify_on_close": body.get("notify_on_close", False), "external_id": body.get("external_id", ""),
        "root_view_id": one.root, "previous_view_id": one.previous or None, "app_id": workspace.app,
        "app_installed_team_id": workspace.team, "bot_id": workspace.bot,
    }  # fmt: skip


def group(workspace: Workspace, one: Group) -> Json:
    """A user group."""
    return {
        "id": one.id, "team_id": workspace.team, "is_usergroup": True, "name": one.handle, "handle": one.handle,
        "description": "", "is_external": False, "date_create": 1_700_000_000, "date_update": 1_700_000_000,
        "date_delete": 0, "user_count": len(one.members), "users": one.members,
    }  # fmt: skip
