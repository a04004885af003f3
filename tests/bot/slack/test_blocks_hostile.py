"""Whatever a node, a cluster or a person says: every body is one that Slack takes, and pings nobody."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from bot.model import Incident, Look
from bot.slack import blocks
from bot.workflow import Progress
from deploy.local.slack.pings import pings
from deploy.local.slack.validator import problems, view_problems
from tests.bot.slack.refusals import refusals
from tests.bot.strategies import incidents, looks, texts, times

hostile = settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.generate, Phase.shrink),  # To explain a failure takes longer than the test may.
)


def is_taken(body: dict[str, Any], *people: str) -> None:
    """By what this test knows of Slack, and by the local Slack, which knows nothing of the bot."""
    assert refusals(body) == []
    assert problems(body["blocks"]) == []
    assert set(pings(body["text"], body["blocks"], links_names=True)) <= {f"<@{person}>" for person in people}
    json.dumps(body).encode()


@hostile
@given(incident=incidents(), look=looks(), earlier=st.one_of(st.none(), looks()))
def test_a_card_is_taken(incident: Incident, look: Look, earlier: Look | None) -> None:
    is_taken(blocks.card(incident, look, earlier), "U0123ABCD")
    is_taken(blocks.worse(incident, look, earlier))


@hostile
@given(look=looks())
def test_an_explanation_is_taken(look: Look) -> None:
    bodies = blocks.explanation(look.report) if look.report else ()
    for body in bodies:
        is_taken(body)
    assert len(bodies) <= 8


@hostile
@given(incident=incidents(), look=looks(), says=texts(), seconds=times, ahead=st.integers(-1, 2**40))
def test_progress_is_taken(incident: Incident, look: Look, says: str, seconds: float, ahead: int) -> None:
    is_taken(blocks.waiting(incident, ahead), "U0123ABCD")
    is_taken(blocks.looking(incident, Progress(says, seconds, look.report)), "U0123ABCD")


@hostile
@given(known=st.lists(incidents(), max_size=2), look=looks(), says=texts(), times_over=st.sampled_from((1, 60)))
def test_whispers_and_the_home_tab_are_taken(known: list[Incident], look: Look, says: str, times_over: int) -> None:
    many = known * times_over
    health = blocks.Health(version=says, running=1, waiting=2, sockets=1, sockets_wanted=2)
    is_taken(blocks.refused(says))
    is_taken(blocks.manual("/conntrack", many))
    is_taken(blocks.status(health, many, 1_000))
    for incident in known:
        is_taken(blocks.joined(incident, says))
        is_taken(blocks.follower(incident, look, f"https://a.slack.com/archives/{says}"))
    view = blocks.home(many, many, "U0123ABCD", 1_790_000_000.0)
    assert refusals(view, most=100) == []
    assert view_problems(view, "home") == []


@hostile
@given(incident=incidents(), look=looks(documented=True))
def test_the_evidence_is_ascii_of_at_most_a_megabyte(incident: Incident, look: Look) -> None:
    text = blocks.evidence(incident, look)
    assert len(text) <= 1_000_000
    assert all(letter.isprintable() or letter == "\n" for letter in text.decode("ascii"))
