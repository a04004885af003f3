from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from bot import report as words
from bot import wiring
from bot.config import Settings
from bot.errors import ChatError
from bot.model import Incident, Kind, Letter, Look, Origin, Person, Place, Request, State
from bot.slack.chat import Identity
from bot.slack.voice import SlackVoice
from bot.store import Store
from bot.wiring import Options
from bot.workflow import Progress
from diagnostics.diagnose import diagnose

NODES = Path(__file__).parents[2] / "nodes"
EXHAUSTED, HEALTHY = "exhausted-by-short-connections", "healthy"
US = Identity("T1", "", "UBOT", "BBOT", "https://team.slack.com/")
THREAD = "1690000000.000100"


@pytest.fixture(scope="module")
def looks() -> Callable[[str, int], Look]:
    """A look at a recorded node, made once for each."""
    made: dict[str, Look] = {}

    def look(node: str, number: int) -> Look:
        if node not in made:
            diagnosis = diagnose(wiring.plan(str(NODES / node), Settings(), Options()), lambda _says: None)
            picture = words.picture(diagnosis)
            made[node] = Look(1, 1, State.DIAGNOSED, 1.0, 2.0, words.report(diagnosis), picture)
        return replace(made[node], number=number)

    return look


@dataclass
class Speaking:
    """A voice with its outbox, and which channels were nudged."""

    store: Store
    nudged: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.voice = SlackVoice(self.store, lambda: US, self.nudged.append)

    def admitted(self, thread: str = "", key: str = "k1", channel: str = "C1") -> Incident:
        return self.store.admit(asked(key, channel, thread), Place("prod", "node-7"), time.time(), 1800.0).incident

    def deliver(self) -> list[Letter]:
        """What goes out now, in order, each at a ts of its own."""
        out: list[Letter] = []
        while letters := [
            letter
            for channel in self.store.channels(time.time())
            if (letter := self.store.next_letter(channel, time.time())) is not None
        ]:
            for letter in letters:
                self.store.delivered(letter.message.key, letter.version, letter.ts or f"17{len(out):08}.000001")
                out.append(letter)
        return out


def asked(key: str, channel: str = "C1", thread: str = "", answer_url: str = "") -> Request:
    return Request(key, Origin.COMMAND, "node-7", Person("U1", "T1"), channel, time.time(), thread, answer_url)


@pytest.fixture
def speaking(store: Store) -> Speaking:
    return Speaking(store)


def keys(letters: list[Letter]) -> list[str]:
    return [letter.message.key for letter in letters]


def test_the_card_is_one_message_from_the_beginning_to_the_end(
    speaking: Speaking, looks: Callable[[str, int], Look]
) -> None:
    incident = speaking.admitted()
    speaking.voice.waiting(incident, 0)
    speaking.voice.looking(incident, Progress("pod: created", 0.4))
    speaking.voice.ended(incident, looks(HEALTHY, 1), None)

    letters = speaking.deliver()
    assert keys(letters).count("INC-1/card") == 1
    assert letters[0].message.key == "INC-1/card"
    assert letters[0].under_ts == ""


def test_what_explains_it_stands_below_the_card_and_in_order(
    speaking: Speaking, looks: Callable[[str, int], Look]
) -> None:
    incident = speaking.admitted()
    speaking.voice.ended(incident, looks(EXHAUSTED, 1), None)

    card, *below = speaking.deliver()
    there = speaking.store.letter("INC-1/card")
    assert card.message.key == "INC-1/card"
    assert there is not None
    assert {letter.under_ts for letter in below} == {there.ts}
    assert keys(below) == sorted(keys(below), key=_order)
    assert keys(below)[-2:] == ["INC-1/look-1/chart", "INC-1/look-1/evidence"]
    assert [letter.message.kind for letter in below[-2:]] == [Kind.FILE, Kind.FILE]
    assert below[-2].message.file.startswith(b"\x89PNG")


def _order(key: str) -> tuple[int, str]:
    sorts = ("explanation", "chart", "evidence")
    return next(number for number, sort in enumerate(sorts) if sort in key), key


def test_in_somebodys_thread_all_of_it_stands_there(speaking: Speaking, looks: Callable[[str, int], Look]) -> None:
    incident = speaking.admitted(THREAD)
    speaking.voice.waiting(incident, 0)
    speaking.voice.ended(incident, looks(EXHAUSTED, 1), None)

    assert {letter.under_ts for letter in speaking.deliver()} == {THREAD}


def test_a_healthy_node_gets_no_chart(speaking: Speaking, looks: Callable[[str, int], Look]) -> None:
    speaking.voice.ended(speaking.admitted(), looks(HEALTHY, 1), None)

    assert "INC-1/look-1/chart" not in keys(speaking.deliver())


def test_telling_an_end_twice_says_it_once(speaking: Speaking, looks: Callable[[str, int], Look]) -> None:
    """As after a death between the telling and its note."""
    incident = speaking.admitted()
    speaking.voice.ended(incident, looks(EXHAUSTED, 1), None)
    assert speaking.deliver()

    speaking.voice.ended(incident, looks(EXHAUSTED, 1), None)
    assert speaking.deliver() == []


def test_the_channel_hears_of_it_again_only_when_it_got_worse(
    speaking: Speaking, looks: Callable[[str, int], Look]
) -> None:
    incident = speaking.admitted()
    speaking.voice.ended(incident, looks(HEALTHY, 1), None)
    speaking.voice.ended(incident, looks(EXHAUSTED, 2), looks(HEALTHY, 1))
    speaking.voice.ended(incident, looks(EXHAUSTED, 3), looks(EXHAUSTED, 2))
    speaking.voice.ended(incident, looks(HEALTHY, 4), looks(EXHAUSTED, 3))

    said = speaking.deliver()
    assert [one.message.key for one in said if one.message.body.get("reply_broadcast")] == ["INC-1/look-2/worse"]


def test_a_node_that_was_not_seen_is_no_news_for_the_channel(
    speaking: Speaking, looks: Callable[[str, int], Look]
) -> None:
    unseen = Look(1, 2, State.NOT_SEEN, 1.0, 2.0, why="The node did not answer.")
    speaking.voice.ended(speaking.admitted(), unseen, looks(HEALTHY, 1))

    assert keys(speaking.deliver()) == ["INC-1/card"]


def test_who_asked_elsewhere_is_told_there_with_a_link(speaking: Speaking, looks: Callable[[str, int], Look]) -> None:
    incident = speaking.admitted()
    speaking.voice.waiting(incident, 0)
    speaking.deliver()
    speaking.admitted(THREAD, "k2", "C2")
    speaking.voice.ended(incident, looks(EXHAUSTED, 1), None)

    (told,) = [one for one in speaking.deliver() if one.message.channel == "C2"]
    assert told.under_ts == THREAD
    assert "https://team.slack.com/archives/C1/p17" in str(told.message.body)


def test_a_link_to_a_card_in_a_thread_leads_into_the_thread(speaking: Speaking) -> None:
    incident = speaking.admitted(THREAD)
    assert speaking.voice.permalink(incident) == ""
    speaking.voice.waiting(incident, 0)
    speaking.deliver()

    assert speaking.voice.permalink(incident).endswith(f"000001?thread_ts={THREAD}&cid=C1")


def test_a_refusal_is_whispered_where_it_was_asked(speaking: Speaking) -> None:
    speaking.voice.refused(asked("k1", thread=THREAD, answer_url="https://hooks.slack.com/x"), "No such node.")

    (letter,) = speaking.deliver()
    assert (letter.message.kind, letter.message.person) == (Kind.WHISPER, "U1")
    assert (letter.under_ts, letter.message.answer_url) == (THREAD, "https://hooks.slack.com/x")
    assert "No such node." in letter.message.body["text"]


def test_a_card_that_nobody_can_read_is_told_to_who_asked(speaking: Speaking) -> None:
    incident = speaking.admitted()
    speaking.voice.heard(asked("k1", answer_url="https://hooks.slack.com/x"))
    speaking.voice.waiting(incident, 0)
    (card,) = speaking.deliver()

    speaking.voice.given_up(card, ChatError("Slack refused: not_in_channel.", "not_in_channel"))
    (whisper,) = speaking.deliver()
    assert whisper.message.answer_url == "https://hooks.slack.com/x"
    assert "/invite" in whisper.message.body["text"]
    assert "not_in_channel" in whisper.message.body["text"]


def test_who_asked_is_told_once_for_each_look_however_often_its_card_changes(speaking: Speaking) -> None:
    incident = speaking.admitted()
    refusal = ChatError("Slack refused: is_archived.", "is_archived")
    whispers = []
    for ahead in range(3):
        speaking.voice.waiting(incident, ahead)
        (card,) = speaking.deliver()
        speaking.voice.given_up(card, refusal)
        whispers += speaking.deliver()
    assert [one.message.kind for one in whispers] == [Kind.WHISPER]


def test_a_chart_that_cannot_be_drawn_costs_nothing_else(
    speaking: Speaking, looks: Callable[[str, int], Look], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_picture: object) -> bytes:
        raise ValueError("no font")

    monkeypatch.setattr("bot.charts.draw", broken)
    speaking.voice.ended(speaking.admitted(), looks(EXHAUSTED, 1), None)

    assert keys(speaking.deliver())[-1] == "INC-1/look-1/evidence"


def test_each_word_wakes_its_channels_writer(speaking: Speaking) -> None:
    speaking.voice.waiting(speaking.admitted(), 0)

    assert speaking.nudged == ["C1"]
