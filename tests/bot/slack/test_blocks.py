from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bot.model import Incident, Look, Person, State
from bot.report import picture, report, to_json
from bot.slack import blocks
from bot.workflow import Progress
from deploy.local.slack.pings import pings
from deploy.local.slack.validator import problems, view_problems
from diagnostics.model import Diagnosis, Status, Verdict, VerdictKind, Way
from diagnostics.runbook import RUNBOOK, judge
from tests.bot.slack.refusals import refusals
from tests.diagnostics.runbook.evidence import EXHAUSTED, HEALTHY
from tests.diagnostics.test_nodes import RECORDED, replayed

AT = 1_790_000_000.0
INCIDENT = Incident(12, "lab", "node-8", "C1", "", Person("U0ALICE"), AT, AT, State.DIAGNOSED, 1)
SICK = judge(EXHAUSTED, Way("pod", (), 1.1))
WELL = judge(HEALTHY, Way("pod", (), 1.1))
BLIND = Look(
    12,
    1,
    State.NOT_SEEN,
    AT,
    AT + 20,
    why="node-8: I could not look, so I do not know.\npod: Debug pod on node-8: no kubelet.\nssh: silent for 9 s",
)


def look(found: Diagnosis = SICK, **changed: Any) -> Look:
    made = Look(12, 1, State.DIAGNOSED, AT, AT + 5, report(found), picture(found), document=to_json(found))
    return replace(made, **changed)


def read(body: dict[str, Any]) -> str:
    """All that is to be read, one line for each block."""
    return "\n".join(" ".join(_texts(block)) for block in body["blocks"])


def _texts(node: Any) -> list[str]:
    if isinstance(node, list):
        return [text for one in node for text in _texts(one)]
    if not isinstance(node, dict):
        return []
    return [
        text for key, one in node.items() for text in ([one] if key == "text" and isinstance(one, str) else _texts(one))
    ]


# ---- the card -------------------------------------------------------------------------------------------------------


def test_the_card_says_the_answer_then_who_then_what_to_do() -> None:
    said = read(blocks.card(INCIDENT, look())).split("\n")
    assert said[0] == "🔴 node-8 is dropping new connections: its conntrack table is full"
    assert said[1].startswith("8,000 of 8,000 entries · 4,310 packets dropped in 3 s")
    assert said[2].startswith(
        "*Who:* `shop/checkout-7fff96c597-tsfl7` (Deployment checkout) holds 97 % (± 1) of the table"
    )
    assert said[3] == "*Then:* node node-8 3 %"
    assert said[4].startswith("*Do first:* Throttle `shop/checkout-7fff96c597-tsfl7` to 20 new connections a second")


def test_the_card_ends_with_how_it_was_seen_who_asked_and_which_incident() -> None:
    card = blocks.card(INCIDENT, look())
    foot = card["blocks"][-1]["elements"][0]["text"]
    assert foot.startswith("Looked through a debug pod, first answer after 1.1 s · at <!date^1790000005^{time}|")
    assert foot.endswith("asked by <@U0ALICE> · INC-12")


def test_an_ended_card_can_be_asked_to_look_again() -> None:
    for ended in (look(), look(WELL), BLIND, replace(BLIND, state=State.INTERRUPTED)):
        (button,) = blocks.card(INCIDENT, ended)["blocks"][-2]["elements"]
        assert (button["action_id"], button["value"]) == ("look_again", "INC-12")


def test_a_look_that_is_not_over_cannot_be_asked_for_again() -> None:
    for body in (blocks.waiting(INCIDENT, 0), blocks.looking(INCIDENT, Progress("x", 1.0, report(SICK)))):
        assert all(block["type"] != "actions" for block in body["blocks"])


def test_the_text_beside_the_blocks_is_enough_without_them() -> None:
    """It is the notification, what a screen reader says, and what is left where the blocks are refused."""
    text = blocks.card(INCIDENT, look())["text"]
    assert text.startswith(
        "🔴 *node-8 is dropping new connections: its conntrack table is full*\n8,000 of 8,000 entries"
    )
    assert "*Who:* `shop/checkout-7fff96c597-tsfl7`" in text
    assert "*Do first:* Throttle" in text


def test_a_node_that_is_well_needs_one_line() -> None:
    said = read(blocks.card(replace(INCIDENT, node="node-7"), look(WELL)))
    assert said.startswith("🟢 *node-8's conntrack table is fine")
    assert "Do first" not in said
    assert len(said) < 600


@pytest.mark.parametrize(
    ("kind", "sign"),
    [
        (VerdictKind.EXHAUSTED, "🔴"),
        (VerdictKind.EVICTING, "🟠"),
        (VerdictKind.FILLING, "🟡"),
        (VerdictKind.HEALTHY, "🟢"),
        (VerdictKind.RECOVERED, "✅"),
        (VerdictKind.LOOKALIKE, "🔵"),
        (VerdictKind.INCONCLUSIVE, "⚪"),
    ],
)
def test_each_verdict_has_a_sign_of_its_own(kind: VerdictKind, sign: str) -> None:
    found = replace(SICK, verdict=Verdict(kind, "node-8 is as it is"))
    assert read(blocks.card(INCIDENT, look(found))).startswith(sign)


def test_what_was_not_seen_is_said_on_the_card() -> None:
    found = report(SICK)
    partly = look(report=replace(found, gaps=("not read: kernel_log (no right)", "b", "c", "d", "e", "f")))
    said = read(blocks.card(INCIDENT, partly))
    assert "❓ not read: `kernel_log` (no right)" in said
    assert "… 2 more: see the attached evidence" in said


def test_a_node_that_could_not_be_looked_at_is_never_well() -> None:
    said = read(blocks.card(INCIDENT, BLIND))
    assert said.startswith("⚪\ufe0f node-8: I could not look, so I do not know")
    assert "*Debug pod:* no kubelet.\n*SSH:* silent for 9 s" in said
    assert "*Do first:* Treat the table as full until you know better." in said
    assert "sysctl net.netfilter.nf_conntrack_count" in said
    assert said.count("I could not look") == 1


def test_an_interrupted_look_says_that_it_was() -> None:
    said = read(blocks.card(INCIDENT, replace(BLIND, state=State.INTERRUPTED, why="The bot was stopped.")))
    assert said.startswith("⚪\ufe0f node-8: the look was interrupted, so I do not know\nThe bot was stopped.\n")
    assert "Press *Look again*" in said


def test_a_further_look_says_what_it_was_before() -> None:
    again = look(WELL, number=2, ended_at=AT + 65)
    said = read(blocks.card(INCIDENT, again, look()))
    assert "Looked again after 60 s, before: 🔴 node-8 is dropping new connections" in said
    assert "look 2" in said
    assert "no change of verdict" in read(blocks.card(INCIDENT, look(number=2, ended_at=AT + 65), look()))
    assert "the one before saw nothing" in read(blocks.card(INCIDENT, again, BLIND))


# ---- while it looks -------------------------------------------------------------------------------------------------


def test_while_it_looks_every_step_is_pending() -> None:
    said = read(blocks.looking(INCIDENT, Progress("the debug pod starts", 1.0)))
    assert said.startswith("🔎 *Looking at node-8* · 1 s · the debug pod starts")
    assert said.count("◌") == len(RUNBOOK)


def test_with_the_first_answer_the_verdict_is_there_and_its_steps_tick_off() -> None:
    first = report(SICK)
    steps = (replace(first.steps[0], status=Status.UNKNOWN), *first.steps[1:])
    said = read(blocks.looking(INCIDENT, Progress("watching the counters", 2.0, replace(first, steps=steps))))
    assert said.startswith("🔴 node-8 is dropping new connections")
    assert "🔎 First answer, still looking · 2 s · watching the counters" in said
    assert "◌ Ping · ❌ New connections · ❌ Usage, the source of truth" in said


def test_who_waits_is_told_how_many_come_first() -> None:
    assert "3 other looks come first" in read(blocks.waiting(INCIDENT, 3))
    assert "a look begins now" in read(blocks.waiting(INCIDENT, 0))


# ---- the explanation ------------------------------------------------------------------------------------------------


def test_the_explanation_is_the_runbook_in_its_order() -> None:
    pages = blocks.explanation(report(SICK))
    said = "\n".join(map(read, pages))
    places = [said.index(f"*{number} {step.title}*") for number, step in enumerate(RUNBOOK, 1)]
    assert places == sorted(places)
    assert len(pages) == 2
    assert "*9 Why restarting" in read(pages[0])
    assert "*10 Do NOT*" in read(pages[1])


def test_what_helps_can_be_copied() -> None:
    (_, to_do) = blocks.explanation(report(SICK))
    copied = [
        element["elements"][0]["text"]
        for block in to_do["blocks"]
        if block["type"] == "rich_text"
        for element in block["elements"]
        if element["type"] == "rich_text_preformatted"
    ]
    assert "sysctl -w net.netfilter.nf_conntrack_max=16000" in copied
    assert "kubectl --namespace shop delete pod checkout-7fff96c597-tsfl7" in copied


def test_what_is_typed_to_undo_it_is_not_copied_with_it() -> None:
    """Whoever copies the whole of it at three in the morning must not end where they began."""
    said = read(blocks.card(INCIDENT, look()))
    assert "\nnft add rule" in said
    assert "\n# to take it away again: nft delete table inet conntrack_throttle" in said


def test_a_long_command_is_left_out_whole() -> None:
    """Half of one may do something else."""
    first = report(SICK)
    long = replace(first.remedies[0], commands=("true", "rm -rf /tmp/" + "x" * 5_000))
    said = "\n".join(map(read, blocks.explanation(replace(first, remedies=(long,)))))
    assert "true\n# … 1 more command: see the attached evidence" in said
    assert "rm -rf" not in said


def test_a_node_that_is_well_is_explained_in_one_message() -> None:
    (page,) = blocks.explanation(report(WELL))
    assert read(page).startswith("Nothing to report from ")
    assert len(read(page)) < 1_200


# ---- the evidence ---------------------------------------------------------------------------------------------------


def test_the_evidence_has_every_command_and_the_document() -> None:
    text = blocks.evidence(INCIDENT, look()).decode("ascii")
    assert text.startswith("INC-12, look 1: lab/node-8\nfrom 2026-09-21 14:13:20 UTC to 2026-09-21 14:13:25 UTC\n")
    for step in SICK.findings:
        assert all(f"$ {shown.command}" in text for shown in step.evidence)
    assert '"schema": "conntrack-diagnosis/1"' in text
    assert "[x] table full" in text


def test_evidence_that_is_too_long_says_where_the_rest_is() -> None:
    text = blocks.evidence(INCIDENT, look(document={"x": "y" * 2_000_000}))
    assert len(text) <= 1_000_000
    assert text.endswith(b"more bytes: conntrack-bot show INC-12 --json\n")


# ---- whispers, lines and the Home tab -------------------------------------------------------------------------------


def test_a_name_nobody_knows_is_answered_with_those_that_are_close() -> None:
    says = "There is no node `nod-7`. Did you mean `node-7`, `node-1` or `node-8`?"
    assert blocks.refused(says)["text"] == says


def test_who_asks_for_what_is_being_looked_at_gets_the_way_to_it() -> None:
    going_on = replace(INCIDENT, state=State.LOOKING)
    said = blocks.joined(going_on, "https://acme.slack.com/archives/C1/p1")["text"]
    assert said == "🔎 *node-8* is being looked at already: INC-12, <https://acme.slack.com/archives/C1/p1|its card>."
    assert blocks.joined(INCIDENT, "")["text"] == "🔎 *node-8* was looked at a moment ago: INC-12, its card."


def test_the_channel_hears_what_it_was_and_what_it_is() -> None:
    filling = look(replace(SICK, verdict=Verdict(VerdictKind.FILLING, "x")))
    said = blocks.worse(INCIDENT, look(number=2), filling)["text"]
    assert said.startswith("*Worse:* 🔴 *node-8 is dropping new connections")
    assert said.endswith("(it was 🟡 filling) · INC-12")


def test_who_asked_elsewhere_gets_the_answer_and_the_card() -> None:
    said = blocks.follower(INCIDENT, look(), "https://acme.slack.com/archives/C1/p1")["text"]
    assert said.startswith("🔴 *node-8 is dropping new connections")
    assert said.endswith("· <https://acme.slack.com/archives/C1/p1|INC-12>")
    assert "I could not look" in blocks.follower(INCIDENT, BLIND, "")["text"]


def test_the_manual_says_what_can_be_typed_and_what_was_asked() -> None:
    known = replace(INCIDENT, verdict="exhausted", headline="node-8 is dropping new connections", looked_at=AT)
    said = read(blocks.manual("/conntrack", [known] * 9))
    assert "`/conntrack node-7` looks at a node" in said
    assert said.count("🔴 INC-12 node-8 is dropping new connections · <!date^1790000000^") == 5
    assert "No node has been looked at yet." in read(blocks.manual("/conntrack", []))


def test_the_status_says_how_the_bot_itself_is() -> None:
    health = blocks.Health("0.1.0", running=1, waiting=2, sockets=1, sockets_wanted=2)
    said = read(blocks.status(health, [], 0))
    assert "*0 open incidents*" in said
    assert "1 look runs, 2 waiting · ⚠️ 1 of 2 connections to Slack · conntrack-bot 0.1.0" in said
    assert "✅ 2 of 2" in read(blocks.status(replace(health, sockets=2), [], 0))
    assert "connections" not in read(blocks.status(replace(health, sockets=0, sockets_wanted=0), [], 0))
    crowd = read(blocks.status(health, [replace(INCIDENT, id=number) for number in range(50)], 212))
    assert "*212 open incidents*" in crowd
    assert "… 202 more" in crowd


def test_the_home_tab_shows_what_is_open_and_what_else_is_mine_each_once() -> None:
    mine, theirs = INCIDENT, replace(INCIDENT, id=13, asked_by=Person("U0BOB"))
    closed = replace(INCIDENT, id=14, is_open=False)
    view = blocks.home([mine, theirs], [closed, mine, theirs], "U0ALICE", AT)
    above, below = read(view).split("*You also asked for*")
    assert [name in above for name in ("INC-12", "INC-13", "INC-14")] == [True, True, False]
    assert [name in below for name in ("INC-12", "INC-13", "INC-14")] == [False, False, True]
    assert view_problems(view, "home") == []


def test_the_home_tab_says_where_nothing_was_asked_for() -> None:
    assert "You asked for nothing yet." in read(blocks.home([INCIDENT], [INCIDENT], "U0DAN", AT))
    assert "asked for" not in read(blocks.home([INCIDENT], [INCIDENT], "U0ALICE", AT))


def test_a_list_says_a_nodes_name_and_the_reason_once() -> None:
    unseen = replace(INCIDENT, state=State.NOT_SEEN, headline="node-8: I could not look.\npod: silent", looked_at=AT)
    said = read(blocks.home([unseen], [], "U0DAN", AT))
    assert "INC-12 node-8: I could not look. · " in said
    assert "silent" not in said


# ---- every recorded node --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("folder", RECORDED, ids=lambda folder: folder.name)
def test_every_recorded_node_reads_well_in_slack(folder: Path) -> None:
    ended = look(replayed(folder))
    assert ended.report is not None
    going_on = blocks.looking(INCIDENT, Progress("watching", 2.0, ended.report))
    for body in (blocks.card(INCIDENT, ended), going_on, *blocks.explanation(ended.report)):
        assert refusals(body) == []
        assert problems(body["blocks"]) == []
        assert set(pings(body["text"], body["blocks"])) <= {"<@U0ALICE>"}
    assert 1 <= len(blocks.explanation(ended.report)) <= 2
    assert "more parts" not in read(blocks.card(INCIDENT, ended))
    assert "more characters" not in "\n".join(map(read, blocks.explanation(ended.report)))
