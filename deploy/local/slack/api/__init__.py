"""The methods of the Web API, each with what it takes to call it."""

from __future__ import annotations

from deploy.local.slack.api import chat, session, views
from deploy.local.slack.api.method import Method

METHODS: dict[str, Method] = {**session.METHODS, **chat.METHODS, **views.METHODS}
