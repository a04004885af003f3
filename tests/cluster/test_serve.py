"""The whole bot on a real cluster: from a command in the chat to the card, with a node that is really full."""

from __future__ import annotations

import contextlib
import json
import logging
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.slack.running import running as local_slack
from diagnostics.runbook import RUNBOOK
from tests.cluster import lab
from tests.cluster.lab import NODE, noise
from tests.e2e.scene import Chat, Json, closing_bots, read, until

FIRST_VERDICT_SECONDS = 4.0
END_SECONDS = 30.0
SILENT = "node-without-kubelet"
GOING_ON, NOT_SEEN = "\N{RIGHT-POINTING MAGNIFYING GLASS}", "\N{MEDIUM WHITE CIRCLE}"
WELL = ("\N{LARGE GREEN CIRCLE}", "\N{WHITE HEAVY CHECK MARK}")

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.timeout(1200),  # with the wait for others who fill tables on this machine
    pytest.mark.skipif(not lab.KUBECONFIG, reason=lab.NEEDS_CLUSTER),
]


@contextlib.contextmanager
def chat(folder: Path, kubeconfig: Path, **sections: Json) -> Iterator[Chat]:
    """A local Slack, and a bot that knows one cluster and no way to log in to its nodes."""
    (folder / "known_hosts").touch()
    with local_slack() as slack:
        settings: Json = {
            "clusters": {"lab": {"kubeconfig": str(kubeconfig)}},
            "default_cluster": "lab",
            "probe": {"image": lab.IMAGE},
            "ssh": {"known_hosts": [str(folder / "known_hosts")], "agent": False, "connect_seconds": 3},
            "slack": {"bot_token": slack.bot_token, "app_token": slack.app_token, "api_url": slack.api_url},
            "store": {"url": f"sqlite:///{folder / 'bot.db'}"},
            "serve": {"lease_seconds": 4, "stop_seconds": 1, "bind": "127.0.0.1:0"},
        }
        made = Chat(slack=slack, folder=folder, settings=settings | sections)
        with closing_bots(made):
            yield made


@pytest.fixture
def account(deployed: None, tmp_path: Path) -> Path:
    """The bot's own, with the rights of deploy/kubernetes and no others."""
    return lab.kubeconfig_of("conntrack-bot", tmp_path)


def verdict_after(made: Chat, asked_for: str) -> float:
    """Ask, and wait for a verdict on the card, which may still go on; the seconds until then."""
    edits = len(made.slack.calls("chat.update"))
    began = time.monotonic()
    made.slack.as_("alice").command(f"/conntrack {asked_for}")
    until(lambda: len(made.slack.calls("chat.update")) > edits and any(map(_has_verdict, made.roots())), END_SECONDS)
    return time.monotonic() - began


def _has_verdict(card: Json) -> bool:
    return not str(card["text"]).startswith(GOING_ON)


def ended(made: Chat) -> Json:
    """The one card, when its look has ended and all that belongs below it is there: the evidence comes last."""

    def last() -> Json | None:
        (card,) = made.roots()
        is_over = "look_again" in read(card)
        is_whole = ".txt" in files(card) or str(card["text"]).startswith(NOT_SEEN)
        return card if is_over and is_whole else None

    found: Json = made.slack.wait_for(last, END_SECONDS)
    return found


def files(card: Json) -> set[str]:
    """The kinds of files below a card."""
    return {Path(file["name"]).suffix for reply in card.get("replies", ()) for file in reply.get("files", ())}


# ---- a full node ----------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not lab.TOOLS, reason=lab.NEEDS_TOOLS)
def test_a_node_that_is_really_full_is_told_in_the_chat_with_its_culprit(account: Path, tmp_path: Path) -> None:
    """The fastest of three looks says what the bot needs; the others, how busy this machine is with its noise."""
    with chat(tmp_path, account) as made:
        bot = made.start()
        with noise("churn", 800):
            seconds = [verdict_after(made, NODE)]
            card = ended(made)
            pod = lab.kubectl("-n", "shop", "get", "pods", "-l", "app=checkout", "-o", "name").strip().partition("/")[2]
            assert f"{NODE} is dropping new connections" in read(card)
            assert f"shop/{pod}" in read(card)
            assert "Deployment checkout" in read(card)
            assert [step.title for step in RUNBOOK if step.title not in json.dumps(card["replies"])] == []
            assert files(card) == {".png", ".txt"}
            for asked_for in (pod, f"lab/{NODE}"):
                seconds.append(verdict_after(made, asked_for))
                assert f"shop/{pod}" in read(ended(made))
            assert lab.is_full()
        verdict_after(made, NODE)
        assert read(ended(made)).startswith('["\N{WHITE HEAVY CHECK MARK}')
        assert bot.stop() == 0
    logging.getLogger(__name__).info("seconds to the first verdict: %s", [round(one, 1) for one in seconds])
    assert min(seconds) < FIRST_VERDICT_SECONDS, seconds
    lab.no_probe_pods()


# ---- a calm node ----------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize("seconds", [0.7, 2.5], ids=["as the debug pod starts", "as it has answered"])
def test_a_bot_that_is_killed_in_the_middle_ends_the_card_and_leaves_no_debug_pod(
    account: Path, tmp_path: Path, seconds: float
) -> None:
    """``quiet`` sees to it that none is left."""
    with chat(tmp_path, account) as made:
        bot = made.start()
        made.slack.as_("alice").command(f"/conntrack {NODE}")
        until(lab.probe_pods, END_SECONDS)
        time.sleep(seconds)
        bot.kill()
        (left,) = lab.probe_pods()
        made.start()
        card = ended(made)
        assert str(card["text"]).startswith(WELL)
        assert left not in lab.probe_pods()


# ---- when there is no way -------------------------------------------------------------------------------------------


@pytest.fixture
def silent_node() -> Iterator[str]:
    """A node that the API knows and on which no kubelet answers."""
    lab.kubectl(
        "create", "-f", "-", text=json.dumps({"apiVersion": "v1", "kind": "Node", "metadata": {"name": SILENT}})
    )
    try:
        yield SILENT
    finally:
        lab.kubectl("delete", "node", SILENT)


@pytest.mark.usefixtures("quiet")
def test_a_node_whose_kubelet_is_silent_is_told_as_not_seen(account: Path, tmp_path: Path, silent_node: str) -> None:
    ssh = {"known_hosts": [str(tmp_path / "known_hosts")], "agent": False, "hosts": {silent_node: "127.0.0.1:1"}}
    with chat(tmp_path, account, ssh=ssh | {"connect_seconds": 3}) as made:
        made.start()
        made.slack.as_("alice").command(f"/conntrack {silent_node}")
        card = made.card("not acknowledged by the kubelet within 15 s", END_SECONDS)
    says = read(card)
    assert f"{silent_node}: I could not look, so I do not know" in says
    assert says.index("*Debug pod:*") < says.index("*SSH:*")
    assert "Treat the table as full" in says


@pytest.mark.usefixtures("quiet")
def test_an_image_that_is_missing_is_named_on_the_card(account: Path, tmp_path: Path) -> None:
    with chat(tmp_path, account, probe={"image": "localhost/nothing:1"}) as made:
        made.start()
        made.slack.as_("alice").command(f"/conntrack {NODE}")
        card = made.card("is not on the node and cannot be had", END_SECONDS)
    assert "I could not look, so I do not know" in read(card)
    assert "localhost/nothing:1" in read(card)


@pytest.mark.usefixtures("quiet")
def test_a_right_that_is_missing_is_named_on_the_card(tmp_path: Path) -> None:
    with chat(tmp_path, lab.kubeconfig_of("default", tmp_path)) as made:
        made.start()
        made.slack.as_("alice").command(f"/conntrack {NODE}")
        card = made.card("conntrack-bot:default` may not create pods", END_SECONDS)
    assert "I could not look, so I do not know" in read(card)
    assert "kubectl apply" in read(card)
