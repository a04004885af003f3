"""The workspace that every demo and every test begins with: who is there, and where they talk."""

from __future__ import annotations

from deploy.local.slack.manifest import Manifest
from deploy.local.slack.state import Channel, Group, Person, Token, Workspace

BOT_TOKEN = "xoxb-local-bot"  # noqa: S105 - of a workspace that exists in this process only
APP_TOKEN = "xapp-local-app"  # noqa: S105 - the same
SIGNING_SECRET = "local-signing-secret"  # noqa: S105 - the same

_PEOPLE = (
    ("alice", "Alice Aho", "member", "On call"),
    ("dan", "Dan Diaz", "member", "On call"),
    ("bob", "Bob Berg", "member", "Approver"),
    ("carol", "Carol Cho", "member", "Approver"),
    ("gus", "Gus Gast", "guest", "Guest"),
    ("eve", "Eve Extern", "external", "Another organisation"),
)
_CHANNELS = (
    Channel("C0INCIDENTS", "incidents", ["alice", "dan", "bob", "carol", "gus", "conntrack"], topic="What is on fire"),
    Channel("C0GENERAL", "general", ["alice", "dan", "bob", "carol", "gus"], topic="The bot is not here"),
    Channel("C0PARTNERS", "partners", ["alice", "bob", "eve", "conntrack"], is_ext_shared=True, topic="With others"),
    Channel("C0PRIVATE", "sre-private", ["alice", "dan", "bob", "carol", "conntrack"], is_private=True),
)


def user_id(name: str) -> str:
    """A person's id is made of the name, so that a test can be read."""
    return f"U0{name.upper()}"


def workspace(manifest: Manifest) -> Workspace:
    """Six people, a group of approvers, four channels and the app, as its manifest describes it."""
    made = Workspace()
    for name, real_name, kind, title in _PEOPLE:
        team = "T0OTHER" if kind == "external" else made.team
        made.people[user_id(name)] = Person(user_id(name), name, real_name, team, kind, title)
    made.people[made.bot_user] = Person(made.bot_user, "conntrack", manifest.name, made.team, "bot", "The app")
    made.groups["S0APPROVERS"] = Group("S0APPROVERS", "sre-approvers", [user_id("bob"), user_id("carol")])
    for one in _CHANNELS:
        members = [user_id(name) for name in one.members]
        made.channels[one.id] = Channel(one.id, one.name, members, one.is_private, one.is_ext_shared, "", one.topic)
    made.tokens[BOT_TOKEN] = Token(BOT_TOKEN, "bot", manifest.scopes)
    made.tokens[APP_TOKEN] = Token(APP_TOKEN, "app", frozenset({"connections:write"}))
    return made
