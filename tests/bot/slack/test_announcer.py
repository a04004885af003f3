from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from bot.errors import ChatError
from bot.model import Kind, Letter, Message
from bot.slack import announcer as announcing
from bot.slack import courier
from bot.slack.announcer import Announcer
from bot.slack.chat import Chat, translated
from bot.slack.courier import PLAIN_FORM
from bot.slack.pace import Pace
from bot.store import Store
from deploy.local.slack.running import LocalSlack
from tests.bot.store.conftest import POSTGRES, emptied

CHANNEL = "C0INCIDENTS"
Soon = Callable[[Callable[[], object]], object]


def message(key: str, text: str, under: str = "", channel: str = CHANNEL, **more: Any) -> Message:
    return Message(key=key, channel=channel, kind=Kind.MESSAGE, body={"text": text, **more}, under=under)


@dataclass
class Outbox:
    """A store, an announcer, and the Slack they speak to."""

    local: LocalSlack
    store: Store
    given_up: list[tuple[Letter, ChatError]] = field(default_factory=list)

    @contextmanager
    def announcing(self) -> Iterator[Announcer]:
        chat = Chat(self.local.bot_token, self.local.api_url)
        announcer = Announcer(self.store, chat, lambda *what: self.given_up.append(what))
        announcer.start()
        try:
            yield announcer
        finally:
            announcer.stop(5.0)

    def say(self, announcer: Announcer, *messages: Message) -> None:
        for one in messages:
            self.store.say(one)
            announcer.nudge(one.channel)

    def texts(self, channel: str = "incidents") -> list[str]:
        return [one["text"] for one in self.local.messages(channel)]

    def calls(self, method: str) -> int:
        return len(self.local.calls(method))


@pytest.fixture
def outbox(local: LocalSlack, store: Store) -> Outbox:
    return Outbox(local, store)


@pytest.fixture
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Try again at once: what is waited for is not what these tests are about."""
    monkeypatch.setattr(announcing, "BACKOFF_SECONDS", (0.05,))
    monkeypatch.setattr(announcing, "POLL_SECONDS", 0.05)
    monkeypatch.setattr(courier, "SETTLES_SECONDS", 0.2)


# ---- what is said is to be read -------------------------------------------------------------------------------------


def test_another_text_under_the_same_key_edits_the_message(outbox: Outbox, soon: Soon) -> None:
    with outbox.announcing() as announcer:
        outbox.say(announcer, message("card", "looking"))
        soon(lambda: outbox.texts() == ["looking"])
        outbox.say(announcer, message("card", "found"))
        soon(lambda: outbox.texts() == ["found"])

    assert outbox.calls("chat.postMessage") == 1


def test_the_same_text_again_costs_no_call(outbox: Outbox, soon: Soon) -> None:
    with outbox.announcing() as announcer:
        outbox.say(announcer, message("card", "found"))
        soon(lambda: outbox.texts() == ["found"])
        outbox.say(announcer, message("card", "found"))

    assert outbox.calls("chat.update") == 0


def test_a_new_message_leaves_at_once(outbox: Outbox, soon: Soon) -> None:
    with outbox.announcing() as announcer:
        began = time.monotonic()
        outbox.say(announcer, message("card", "looking"))
        soon(lambda: outbox.texts() == ["looking"])

    assert time.monotonic() - began < announcing.POLL_SECONDS


def test_what_follows_quickly_is_said_as_one_edit_of_the_newest_text(outbox: Outbox, soon: Soon) -> None:
    with outbox.announcing() as announcer:
        outbox.say(announcer, message("card", "0"))
        soon(lambda: outbox.texts() == ["0"])
        for number in range(1, 41):
            outbox.say(announcer, message("card", str(number)))
        soon(lambda: outbox.texts() == ["40"])

    assert outbox.calls("chat.update") <= 6


def test_what_was_said_before_the_start_is_posted(outbox: Outbox, soon: Soon) -> None:
    outbox.store.say(message("card", "left by another process"))

    with outbox.announcing():
        soon(lambda: outbox.texts() == ["left by another process"])


def test_replies_stand_below_their_message_in_order(outbox: Outbox, soon: Soon) -> None:
    with outbox.announcing() as announcer:
        outbox.say(announcer, message("card", "card"), message("1", "one", "card"), message("2", "two", "card"))
        soon(lambda: outbox.texts() == ["card"] and len(outbox.local.messages("incidents")[0]["replies"]) == 2)

    assert [one["text"] for one in outbox.local.messages("incidents")[0]["replies"]] == ["one", "two"]


def test_a_reply_can_be_read_in_the_channel_too(outbox: Outbox, soon: Soon) -> None:
    with outbox.announcing() as announcer:
        outbox.say(announcer, message("card", "card"), message("worse", "worse", "card", reply_broadcast=True))
        soon(lambda: outbox.calls("chat.postMessage") == 2)

    assert outbox.local.calls("chat.postMessage")[-1]["arguments"]["reply_broadcast"]


def test_nothing_of_ours_unfolds_or_pings(outbox: Outbox, soon: Soon) -> None:
    with outbox.announcing() as announcer:
        outbox.say(announcer, message("card", "see https://example.com"))
        soon(lambda: outbox.calls("chat.postMessage") == 1)

    said = outbox.local.calls("chat.postMessage")[0]["arguments"]
    assert [said[flag] for flag in ("unfurl_links", "unfurl_media", "link_names")] == [False] * 3
    assert said["parse"] == "none"
    assert said["metadata"] == {"event_type": "conntrack_bot", "event_payload": {"key": "card"}}


def test_what_is_due_is_said_before_the_end(outbox: Outbox) -> None:
    with outbox.announcing() as announcer:
        for number in range(5):
            outbox.say(announcer, message(f"card {number}", str(number)))

    assert sorted(outbox.texts()) == ["0", "1", "2", "3", "4"]


def test_channels_do_not_wait_for_each_other(outbox: Outbox, soon: Soon) -> None:
    outbox.local.slow("chat.postMessage", 3.0)

    with outbox.announcing() as announcer:
        outbox.say(announcer, message("slow", "slow"))
        soon(lambda: outbox.calls("chat.postMessage") == 1 or outbox.store.letter("slow"))
        time.sleep(0.1)
        began = time.monotonic()
        outbox.say(announcer, message("fast", "fast", channel="C0PRIVATE"))
        soon(lambda: outbox.texts("sre-private") == ["fast"])
        assert time.monotonic() - began < 2.5


# ---- what Slack refuses ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", ["invalid_blocks", "msg_blocks_too_long", "invalid_attachments"])
def test_refused_blocks_are_said_as_text(code: str, outbox: Outbox, soon: Soon) -> None:
    outbox.local.fail("chat.postMessage", error=code)
    blocks = [{"type": "section", "text": {"type": "mrkdwn", "text": "full"}}]

    with outbox.announcing() as announcer:
        outbox.say(announcer, message("card", "full", blocks=blocks))
        soon(lambda: outbox.texts() == [f"full\n{PLAIN_FORM}"])

    assert not outbox.local.messages("incidents")[0].get("blocks")


def test_refused_blocks_of_an_edit_leave_no_old_blocks(outbox: Outbox, soon: Soon) -> None:
    blocks = [{"type": "section", "text": {"type": "mrkdwn", "text": "looking"}}]

    with outbox.announcing() as announcer:
        outbox.say(announcer, message("card", "looking", blocks=blocks))
        soon(lambda: outbox.texts() == ["looking"])
        outbox.say(announcer, message("card", "found", blocks=[{"type": "nonsense"}]))
        soon(lambda: outbox.texts() == [f"found\n{PLAIN_FORM}"])

    assert not outbox.local.messages("incidents")[0].get("blocks")


def test_a_deleted_card_is_posted_anew(outbox: Outbox, soon: Soon) -> None:
    with outbox.announcing() as announcer:
        outbox.say(announcer, message("card", "looking"))
        soon(lambda: outbox.texts() == ["looking"])
        outbox.local.fail("chat.update", error="message_not_found")
        outbox.say(announcer, message("card", "found"))
        soon(lambda: "found" in outbox.texts())


@pytest.mark.parametrize(
    "how",
    [
        pytest.param({"status": 500}, id="an error of Slack's own"),
        pytest.param({"status": 503}, id="Slack away for a moment"),
        pytest.param({"status": 0}, id="a connection that breaks"),
        pytest.param({"error": "internal_error"}, id="an internal error"),
        pytest.param({"retry_after": 1}, id="too many calls"),
    ],
)
@pytest.mark.usefixtures("_impatient")
def test_what_passes_is_tried_again(how: dict[str, Any], outbox: Outbox, soon: Soon) -> None:
    outbox.local.fail("chat.postMessage", **how)

    with outbox.announcing() as announcer:
        outbox.say(announcer, message("card", "looking"))
        soon(lambda: outbox.texts() == ["looking"])

    assert outbox.given_up == []


@pytest.mark.usefixtures("_impatient")
def test_a_post_whose_answer_got_lost_is_not_posted_twice(outbox: Outbox, soon: Soon) -> None:
    outbox.local.fail("chat.postMessage", status=500, is_after=True)

    with outbox.announcing() as announcer:
        outbox.say(announcer, message("card", "looking"))
        soon(lambda: (letter := outbox.store.letter("card")) and letter.ts)
        outbox.say(announcer, message("card", "found"))
        soon(lambda: outbox.texts() == ["found"])

    assert outbox.calls("chat.postMessage") == 1


@pytest.mark.usefixtures("_impatient")
def test_a_post_of_a_process_that_died_is_found_again(outbox: Outbox, soon: Soon) -> None:
    outbox.store.say(message("card", "looking"))
    letter = outbox.store.next_letter(CHANNEL, time.time())
    assert letter is not None
    Chat(outbox.local.bot_token, outbox.local.api_url).post(CHANNEL, "", "card", letter.message.body)

    with outbox.announcing():
        soon(lambda: (letter := outbox.store.letter("card")) and letter.ts)

    assert outbox.texts() == ["looking"]


def test_a_post_of_a_process_that_died_may_still_arrive_and_is_waited_for(outbox: Outbox, soon: Soon) -> None:
    outbox.store.say(message("card", "looking"))
    letter = outbox.store.next_letter(CHANNEL, time.time())
    assert letter is not None
    outbox.local.slow("chat.postMessage", 1.0)
    died = Chat(outbox.local.bot_token, outbox.local.api_url)
    late = threading.Thread(target=died.post, args=(CHANNEL, "", "card", letter.message.body))
    late.start()

    with outbox.announcing():
        soon(lambda: (letter := outbox.store.letter("card")) and letter.ts)

    late.join()
    assert outbox.texts() == ["looking"]
    assert outbox.calls("chat.postMessage") == 1


@pytest.mark.usefixtures("_impatient")
def test_a_post_that_never_arrived_is_posted(outbox: Outbox, soon: Soon) -> None:
    outbox.store.say(message("card", "looking"))
    assert outbox.store.next_letter(CHANNEL, time.time()) is not None

    with outbox.announcing():
        soon(lambda: outbox.texts() == ["looking"])

    assert outbox.calls("chat.postMessage") == 1


@pytest.mark.parametrize("channel", ["C0GENERAL", "C0NOWHERE"])
def test_where_the_bot_may_not_write_somebody_is_told(channel: str, outbox: Outbox, soon: Soon) -> None:
    with outbox.announcing() as announcer:
        outbox.say(announcer, message("card", "looking", channel=channel))
        soon(lambda: outbox.given_up)

    letter, error = outbox.given_up[0]
    assert letter.message.key == "card"
    assert error.code in {"not_in_channel", "channel_not_found"}


def test_a_wait_that_slack_asks_for_is_kept(outbox: Outbox, soon: Soon) -> None:
    outbox.local.fail("chat.postMessage", retry_after=2)

    with outbox.announcing() as announcer:
        outbox.say(announcer, message("card", "looking"))
        soon(lambda: outbox.texts() == ["looking"])

    first, second = outbox.local.calls("chat.postMessage")
    assert second["at"] - first["at"] >= 1.9


class Stumbling(Chat):
    """Slack as usual, but for one message at which the bot itself stumbles."""

    def post(self, channel: str, under_ts: str, key: str, body: Mapping[str, Any]) -> str:
        if key == "broken":
            raise TypeError("what nobody thought of")
        return super().post(channel, under_ts, key, body)


@pytest.mark.usefixtures("_impatient")
def test_a_defect_costs_the_message_that_met_it_and_no_other(outbox: Outbox, soon: Soon) -> None:
    chat = Stumbling(outbox.local.bot_token, outbox.local.api_url)
    announcer = Announcer(outbox.store, chat, lambda *what: outbox.given_up.append(what))
    outbox.store.say(message("broken", "never"))
    outbox.store.say(message("card", "looking"))

    announcer.start()
    try:
        soon(lambda: outbox.texts() == ["looking"] and outbox.given_up)
    finally:
        announcer.stop(5.0)

    (letter, error), *others = outbox.given_up
    assert (letter.message.key, str(error), others) == ("broken", "Something broke on my side: TypeError.", [])


def test_an_answer_of_slacks_that_breaks_off_is_no_answer() -> None:
    @translated
    def breaks_off() -> None:
        raise http.client.IncompleteRead(b"{")

    with pytest.raises(ChatError, match="Slack did not answer") as caught:
        breaks_off()
    assert caught.value.retry_after_seconds == 1.0


@pytest.mark.database
@pytest.mark.skipif(not POSTGRES, reason="needs an empty PostgreSQL database, named by STORE_TEST_POSTGRES")
def test_two_programs_with_one_database_say_everything_once(local: LocalSlack, soon: Soon) -> None:
    address = emptied(POSTGRES)
    local.slow("chat.postMessage", 0.2, times=20)  # long enough for the other one to look for it in vain
    with closing(Store.open(address)) as one, closing(Store.open(address)) as other:
        pair = (Outbox(local, one), Outbox(local, other))
        with pair[0].announcing() as first, pair[1].announcing() as second:
            pair[0].say(first, message("card", "card"))
            for number in range(8):
                pair[number % 2].say((first, second)[number % 2], message(f"r{number}", f"{number}", under="card"))
            soon(lambda: [len(root["replies"]) for root in local.messages("incidents")] == [8])

    (root,) = local.messages("incidents")
    assert sorted(reply["text"] for reply in root["replies"]) == list("01234567")
    assert len(local.calls("chat.postMessage")) == 9


# ---- whispers and files ---------------------------------------------------------------------------------------------


def whisper(answer_url: str = "") -> Message:
    return Message("k/refused", CHANNEL, Kind.WHISPER, {"text": "no"}, person="U0ALICE", answer_url=answer_url)


def test_a_whisper_is_for_one_person(outbox: Outbox, soon: Soon) -> None:
    with outbox.announcing() as announcer:
        outbox.say(announcer, whisper())
        soon(lambda: outbox.local.whispers("alice"))

    assert outbox.local.whispers("dan") == []
    assert outbox.texts() == []


def test_a_whisper_that_cannot_be_left_at_its_address_goes_the_other_way(outbox: Outbox, soon: Soon) -> None:
    with outbox.announcing() as announcer:
        outbox.say(announcer, whisper(f"{outbox.local.url}/response/expired"))
        soon(lambda: outbox.local.whispers("alice"))

    assert outbox.calls("chat.postEphemeral") == 1


@pytest.mark.parametrize(
    ("url", "may"),
    [
        ("https://hooks.slack.com/commands/T1/2/x", True),
        ("http://hooks.slack.com/commands/T1/2/x", False),
        ("https://hooks.slack.com.evil.example/x", False),
        ("http://169.254.169.254/latest/meta-data/", False),
        ("file:///etc/passwd", False),
        ("http://[", False),
        ("", False),
    ],
)
def test_an_answer_goes_to_slack_only(url: str, may: bool) -> None:
    assert Chat("xoxb-x").may_answer(url) is may


def test_an_answer_may_go_to_the_local_slack_that_was_named() -> None:
    chat = Chat("xoxb-x", "http://127.0.0.1:4040/api/")

    assert chat.may_answer("http://127.0.0.1:4040/response/1")
    assert not chat.may_answer("http://127.0.0.1:4041/response/1")


def test_a_file_stands_in_the_thread_once(outbox: Outbox, soon: Soon) -> None:
    body = {"filename": "INC-1-look-1.txt", "title": "Evidence"}
    file = Message("evidence", CHANNEL, Kind.FILE, body, under="card", file=b"all of it")

    with outbox.announcing() as announcer:
        outbox.say(announcer, message("card", "card"), file)
        soon(lambda: (letter := outbox.store.letter("evidence")) and letter.ts)
        outbox.say(announcer, file)

    assert outbox.calls("files.completeUploadExternal") == 1


# ---- the pace -------------------------------------------------------------------------------------------------------


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_burst_is_let_through_and_then_one_a_second() -> None:
    clock = Clock()
    pace = Pace(per_second=1.0, burst=3, monotonic=clock)
    said = 0
    for _ in range(200):  # ten seconds
        if pace.wait_seconds("C1") <= 0:
            pace.take("C1")
            said += 1
        clock.now += 0.05

    assert said == 3 + 9


def test_the_wait_that_is_told_is_the_wait_that_is_needed() -> None:
    clock = Clock()
    pace = Pace(per_second=1.0, burst=2, monotonic=clock)
    pace.take("a")
    pace.take("a")

    assert pace.waiting() == {"a"}
    clock.now += pace.wait_seconds("a")
    assert pace.waiting() == frozenset()


def test_a_hold_holds_whatever_is_in_the_bucket() -> None:
    clock = Clock()
    pace = Pace(per_second=1.0, burst=3, monotonic=clock)
    pace.hold("a", 5.0)

    assert pace.wait_seconds("a") == pytest.approx(5.0)
    assert pace.wait_seconds("b") == 0.0


def test_no_writer_is_left_behind(outbox: Outbox, soon: Soon) -> None:
    with outbox.announcing() as announcer:
        outbox.say(announcer, message("card", "looking"))
        soon(lambda: outbox.texts() == ["looking"])

    assert [one.name for one in threading.enumerate() if one.name.startswith(("writer", "announcer"))] == []
