from __future__ import annotations

import pytest

from bot.model import Kind, Lane, Letter, Message
from bot.store import Store
from tests.bot.store.words import HOSTILE, card, file, whisper


def due(store: Store, now: float = 0.0, channel: str = "C1", lane: Lane | None = None) -> Letter:
    letter = store.next_letter(channel, now, lane=lane)
    assert letter is not None
    return letter


def posted(store: Store, message: Message, ts: str) -> None:
    store.say(message)
    letter = due(store, channel=message.channel)
    assert letter.message.key == message.key
    store.delivered(message.key, letter.version, ts)


# ---- one message ----------------------------------------------------------------------------------------------------


def test_what_is_said_is_due_until_it_is_delivered(store: Store) -> None:
    store.say(card())
    assert store.channels(0.0) == ("C1",)
    assert due(store) == Letter(card(), version=1)
    store.delivered("INC-1/card", 1, "1.1")
    assert (store.next_letter("C1", 0.0), store.channels(0.0)) == (None, ())
    assert store.letter("INC-1/card") == Letter(card(), version=1, ts="1.1")


def test_the_same_text_again_changes_nothing(store: Store) -> None:
    posted(store, card(), "1.1")
    store.say(card())
    assert store.channels(0.0) == ()


def test_another_text_edits_the_message_where_it_is(store: Store) -> None:
    posted(store, card(), "1.1")
    store.say(card("two"))
    assert due(store) == Letter(card("two"), version=2, ts="1.1")


def test_what_was_said_meanwhile_is_said_once_and_only_the_newest(store: Store) -> None:
    for text in ("one", "two", "three"):
        store.say(card(text))
    letter = due(store)
    assert (letter.message.body, letter.version) == ({"text": "three"}, 3)
    store.delivered("INC-1/card", 3, "1.1")
    assert store.channels(0.0) == ()


def test_a_newer_text_stays_due_when_the_older_one_arrives(store: Store) -> None:
    store.say(card("one"))
    sent = due(store)
    store.say(card("two"))
    store.delivered("INC-1/card", sent.version, "1.1")
    assert due(store) == Letter(card("two"), version=2, ts="1.1")


def test_a_message_may_be_delivered_elsewhere_than_before(store: Store) -> None:
    """Somebody deleted it, so it was posted anew."""
    posted(store, card(), "1.1")
    store.say(card("two"))
    store.delivered("INC-1/card", due(store).version, "2.2")
    assert store.letter("INC-1/card") == Letter(card("two"), version=2, ts="2.2")


def test_hostile_bodies_come_back_as_they_were(store: Store) -> None:
    message = Message(HOSTILE, "C1", Kind.MESSAGE, {"text": HOSTILE, "blocks": [{"n": 1, "t": None}]})
    store.say(message)
    assert due(store).message.body == message.body


# ---- failure --------------------------------------------------------------------------------------------------------


def test_a_post_is_in_doubt_until_its_fate_is_known(store: Store) -> None:
    store.say(card())
    assert not due(store).is_doubtful
    store.undelivered("INC-1/card", 1, "refused", 0.0)
    assert not due(store).is_doubtful
    assert due(store).is_doubtful


def test_a_post_without_an_answer_stays_in_doubt(store: Store) -> None:
    store.say(card())
    store.undelivered("INC-1/card", due(store).version, "no answer", 0.0, is_doubtful=True)
    letter = due(store)
    assert (letter.is_doubtful, letter.attempts) == (True, 1)


def test_a_refusal_does_not_end_the_doubt_about_an_earlier_post(store: Store) -> None:
    """It died after posting; the next try met a rate limit: the post is there all the same."""
    store.say(card())
    due(store)
    store.undelivered("INC-1/card", due(store).version, "ratelimited", 0.0)
    assert due(store).is_doubtful


def test_a_new_text_does_not_end_the_doubt_about_an_old_post(store: Store) -> None:
    store.say(card("one"))
    due(store)
    store.say(card("two"))
    assert due(store).is_doubtful


def test_an_edit_is_never_in_doubt_because_editing_twice_is_editing(store: Store) -> None:
    posted(store, card("one"), "1.1")
    store.say(card("two"))
    due(store)
    assert not due(store).is_doubtful


def test_what_failed_is_tried_again_at_its_time(store: Store) -> None:
    store.say(card())
    store.undelivered("INC-1/card", due(store).version, "busy", 10.0)
    assert (store.next_letter("C1", 9.9), store.channels(9.9)) == (None, ())
    assert store.channels(10.0) == ("C1",)
    assert due(store, 10.0).attempts == 1


def test_what_was_given_up_is_said_again_only_when_its_text_changes(store: Store) -> None:
    store.say(card())
    store.undelivered("INC-1/card", due(store).version, "not in the channel", None)
    store.say(card())
    assert store.channels(1e9) == ()
    store.say(card("two"))
    letter = due(store)
    assert (letter.message.body, letter.attempts, letter.is_doubtful) == ({"text": "two"}, 0, False)


def test_an_older_text_that_is_given_up_does_not_take_the_newer_one_with_it(store: Store) -> None:
    store.say(card("one"))
    sent = due(store)
    store.say(card("two"))
    store.undelivered("INC-1/card", sent.version, "invalid_blocks", None)
    assert due(store) == Letter(card("two"), version=2)


def test_a_chat_that_asks_to_wait_is_waited_for_by_the_newer_text_too(store: Store) -> None:
    store.say(card("one"))
    sent = due(store)
    store.say(card("two"))
    store.undelivered("INC-1/card", sent.version, "ratelimited", 10.0)
    assert store.next_letter("C1", 9.0) is None
    assert due(store, 10.0).attempts == 0


def test_news_of_a_message_that_nobody_knows_is_nothing(store: Store) -> None:
    store.delivered("unknown", 1, "1.1")
    store.undelivered("unknown", 1, "why", None)
    assert store.letter("unknown") is None


# ---- order ----------------------------------------------------------------------------------------------------------


def test_messages_leave_in_the_order_in_which_they_were_said(store: Store) -> None:
    for number in range(3):
        store.say(card(key=f"INC-{number}/card"))
    keys = []
    while letter := store.next_letter("C1", 0.0):
        keys.append(letter.message.key)
        store.delivered(letter.message.key, letter.version, f"1.{len(keys)}")
    assert keys == ["INC-0/card", "INC-1/card", "INC-2/card"]


def test_a_message_that_is_edited_over_and_over_holds_up_nobody(store: Store) -> None:
    posted(store, card(key="a"), "1.1")
    store.say(card(key="b"))
    store.say(card("two", key="a"))
    store.say(card("three", key="a"))
    assert due(store).message.key == "b"


def test_a_reply_waits_for_its_parent(store: Store) -> None:
    store.say(card("reply", key="reply", under="INC-1/card"))
    assert store.channels(0.0) == ()
    store.say(card())
    assert due(store).message.key == "INC-1/card"
    store.delivered("INC-1/card", 1, "1.1")
    assert due(store) == Letter(card("reply", key="reply", under="INC-1/card"), version=1, under_ts="1.1")


def test_a_reply_to_a_reply_belongs_to_the_root_of_the_thread(store: Store) -> None:
    posted(store, card(under="ts:7.7"), "8.8")
    store.say(card("reply", key="reply", under="INC-1/card"))
    letter = due(store)
    assert letter.under_ts == "7.7"
    store.delivered("reply", 1, "9.9")
    store.say(card("deeper", key="deeper", under="reply"))
    assert due(store).under_ts == "7.7"


def test_an_edit_knows_its_thread_too(store: Store) -> None:
    posted(store, card(under="ts:7.7"), "8.8")
    store.say(card("two", under="ts:7.7"))
    assert due(store).under_ts == "7.7"


def test_replies_stay_in_order_where_an_earlier_one_has_to_be_tried_again(store: Store) -> None:
    posted(store, card(), "1.1")
    for key in ("part-1", "part-2"):
        store.say(card(key=key, under="INC-1/card"))
    store.undelivered("part-1", due(store).version, "busy", 10.0)
    assert store.next_letter("C1", 5.0) is None
    assert due(store, 10.0).message.key == "part-1"
    store.undelivered("part-1", 1, "never", None)
    assert due(store, 10.0).message.key == "part-2"


def test_a_card_that_has_to_be_tried_again_holds_up_no_other_card(store: Store) -> None:
    store.say(card(key="a"))
    store.say(card(key="b"))
    store.undelivered("a", due(store).version, "busy", 10.0)
    assert due(store).message.key == "b"


def test_channels_are_each_their_own(store: Store) -> None:
    store.say(card(key="a", channel="C1"))
    store.say(card(key="b", channel="C2"))
    assert set(store.channels(0.0)) == {"C1", "C2"}
    assert due(store, channel="C2").message.key == "b"


def test_each_lane_is_asked_for_apart(store: Store) -> None:
    posted(store, card(key="a"), "1.1")
    store.say(card(key="b"))
    store.say(whisper())
    store.say(card("two", key="a"))
    assert due(store, lane=Lane.EDIT).message.key == "a"
    assert due(store, lane=Lane.WHISPER).message.key == "whisper-1"
    assert due(store, lane=Lane.POST).message.key == "b"
    assert store.next_letter("C1", 0.0, lane=Lane.EDIT, held=("a",)) is None


# ---- whispers and files ---------------------------------------------------------------------------------------------


def test_a_whisper_in_doubt_is_dropped_and_holds_up_nobody(store: Store) -> None:
    store.say(whisper())
    store.say(card())
    assert due(store).message.kind is Kind.WHISPER
    assert due(store).message.kind is Kind.MESSAGE
    store.say(whisper("another"))
    assert due(store).message.kind is Kind.MESSAGE


def test_a_whisper_that_was_refused_for_now_is_tried_again(store: Store) -> None:
    store.say(whisper())
    store.undelivered("whisper-1", due(store).version, "ratelimited", 5.0)
    assert due(store, 5.0).message == whisper()


def test_a_whisper_that_was_said_is_not_said_otherwise(store: Store) -> None:
    posted(store, whisper(), "whisper")
    store.say(whisper("another"))
    assert store.channels(0.0) == ()


@pytest.mark.parametrize("is_said", [True, False], ids=["said", "given up"])
def test_the_way_to_whisper_is_forgotten_once_it_is_over(store: Store, is_said: bool) -> None:
    store.say(whisper())
    letter = due(store)
    if is_said:
        store.delivered("whisper-1", letter.version, "whisper")
    else:
        store.undelivered("whisper-1", letter.version, "expired_url", None)
    kept = store.letter("whisper-1")
    assert kept is not None
    assert kept.message.answer_url == ""


def test_a_file_is_posted_once(store: Store) -> None:
    posted(store, file(), "1.1")
    store.say(file(b"other"))
    assert store.channels(0.0) == ()


def test_a_file_in_doubt_is_given_out_as_such_with_its_content(store: Store) -> None:
    store.say(file())
    due(store)
    letter = due(store)
    assert (letter.is_doubtful, letter.message.file) == (True, b"raw")


def test_an_unposted_file_takes_the_newest_content(store: Store) -> None:
    store.say(file(b"old"))
    store.say(file(b"new"))
    assert due(store).message.file == b"new"


def test_a_new_card_goes_before_the_explanation_of_another_one(store: Store) -> None:
    posted(store, card(), "1.1")
    store.say(card("why", key="INC-1/why", under="INC-1/card"))
    store.say(card(key="INC-2/card"))
    store.say(card(key="INC-3/card", under="ts:9.9"))
    order = []
    for number in range(3):
        letter = due(store)
        order.append(letter.message.key)
        store.delivered(letter.message.key, letter.version, f"2.{number}")
    assert order == ["INC-2/card", "INC-3/card", "INC-1/why"]
