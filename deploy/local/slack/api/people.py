"""users.*, usergroups.*, bots.info, team.info: who is there."""

from __future__ import annotations

from deploy.local.slack import shapes
from deploy.local.slack.api.conversations import page
from deploy.local.slack.api.method import Method
from deploy.local.slack.rates import TIER_2, TIER_3, TIER_4
from deploy.local.slack.service import Service
from deploy.local.slack.state import Json
from deploy.local.slack.wire import Arguments, SlackError


def _user(service: Service, args: Arguments) -> Json:
    person = service.workspace.people.get(args.text("user"))
    if person is None:
        raise SlackError("user_not_found")
    return {"user": shapes.person(service.workspace, person)}


def _users(service: Service, args: Arguments) -> Json:
    shown, cursor = page(args, list(service.workspace.people.values()), args.number("limit", 200, at_most=1000))
    return {"members": [shapes.person(service.workspace, one) for one in shown], "response_metadata": cursor}


def _by_email(service: Service, args: Arguments) -> Json:
    name, _, host = args.text("email").partition("@")
    person = service.workspace.person(name)
    if person is None or host != "example.com" or person.kind == "bot":
        raise SlackError("users_not_found")
    return {"user": shapes.person(service.workspace, person)}


def _groups(service: Service, args: Arguments) -> Json:
    groups = [shapes.group(service.workspace, one) for one in service.workspace.groups.values()]
    if not args.flag("include_users"):
        for one in groups:
            del one["users"]
    return {"usergroups": groups}


def _group_members(service: Service, args: Arguments) -> Json:
    group = service.workspace.groups.get(args.text("usergroup"))
    if group is None:
        raise SlackError("no_such_subteam")
    return {"users": list(group.members)}


def _bot(service: Service, args: Arguments) -> Json:
    workspace = service.workspace
    if args.text("bot", workspace.bot) != workspace.bot:
        raise SlackError("bot_not_found")
    about: Json = {"id": workspace.bot, "deleted": False, "name": "conntrack", "app_id": workspace.app}
    return {"bot": about | {"user_id": workspace.bot_user, "updated": 1_700_000_000, "icons": {}}}


def _team(service: Service, _args: Arguments) -> Json:
    workspace = service.workspace
    return {"team": {"id": workspace.team, "name": workspace.team_name, "domain": workspace.team_domain}}


METHODS = {
    "users.info": Method(_user, ("users:read",), ("user",), TIER_4),
    "users.list": Method(_users, ("users:read",), (), TIER_2),
    "users.lookupByEmail": Method(_by_email, ("users:read.email",), ("email",), TIER_3),
    "usergroups.list": Method(_groups, ("usergroups:read",), (), TIER_2),
    "usergroups.users.list": Method(_group_members, ("usergroups:read",), ("usergroup",), TIER_2),
    "bots.info": Method(_bot, ("users:read",), (), TIER_3),
    "team.info": Method(_team, ("team:read",), (), TIER_3),
}
