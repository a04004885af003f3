from __future__ import annotations

from dataclasses import replace

import pytest

from bot.model import Follower, Person, Place, State
from bot.store import Store
from diagnostics.model import VerdictKind
from tests.bot.store.words import ALICE, FORGET_SECONDS, HOSTILE, admitted, asks, claimed, diagnosed, unseen

NODE_7 = Place("lab", "node-7")


def admit(store: Store, key: str, now: float = 0.0, channel: str = "C1", thread: str = "", place: Place = NODE_7):  # type: ignore[no-untyped-def]  # noqa: ANN201 - Admission, as Store says
    request = asks(key, channel=channel, thread=thread, at=now)
    store.receive(request)
    return store.admit(request, place, now, FORGET_SECONDS)


def ended(store: Store, key: str = "r1", at: float = 5.0, *, is_open: bool = True) -> None:
    admit(store, key, now=at - 1)
    look = diagnosed(claimed(store, now=at - 1), at=at)
    assert store.finish(look, "w1", is_open=is_open)
    store.told(look.incident, look.number)


# ---- who asks -------------------------------------------------------------------------------------------------------


def test_the_first_who_asks_opens_an_incident_that_waits(store: Store) -> None:
    admission = admit(store, "r1", now=3.0, place=Place("lab", "node-7", note="where pod x runs"))
    incident = admission.incident
    assert not admission.joined
    assert (incident.name, incident.state, incident.asked_by) == ("INC-1", State.WAITING, ALICE)
    assert (incident.opened_at, incident.note, incident.looks) == (3.0, "where pod x runs", 0)
    assert store.waiting() == 1
    assert store.incident(1) == incident


@pytest.mark.parametrize("is_being_looked_at", [False, True], ids=["waiting", "looking"])
def test_who_asks_for_a_node_that_is_on_its_way_joins(store: Store, is_being_looked_at: bool) -> None:
    admit(store, "r1")
    if is_being_looked_at:
        claimed(store)
    admission = admit(store, "r2")
    assert (admission.joined, admission.incident.id) == (True, 1)
    assert store.followers(1) == ()


def test_who_joins_from_elsewhere_waits_there_once(store: Store) -> None:
    admit(store, "r1")
    for key in ("r2", "r3"):
        assert admit(store, key, channel="C2", thread="17.1").joined
    admit(store, "r4", thread="18.1")
    assert store.followers(1) == (Follower(ALICE, "C2", "17.1"), Follower(ALICE, "C1", "18.1"))


def test_followers_are_gone_when_a_new_look_begins(store: Store) -> None:
    admit(store, "r1")
    admit(store, "r2", channel="C2")
    store.finish(diagnosed(claimed(store)), "w1", is_open=True)
    assert store.followers(1)
    admit(store, "r3", now=6.0)
    assert store.followers(1) == ()


def test_a_request_admitted_twice_is_admitted_once(store: Store) -> None:
    """A desk that dies between admitting and answering leaves the request to another desk."""
    first = admit(store, "r1")
    again = admit(store, "r1", now=20.0)
    assert (again, store.waiting()) == (first, 1)
    admit(store, "r2", channel="C2")
    joined = admit(store, "r2", channel="C2")
    assert joined.joined
    assert [entry.event for entry in store.audit()] == ["opened", "joined"]


def test_asking_again_in_the_same_place_is_another_look_of_the_same_incident(store: Store) -> None:
    ended(store, "r1", at=5.0)
    request = asks("r2", at=60.0)
    again = store.admit(request, NODE_7, 60.0, FORGET_SECONDS)
    assert (again.joined, again.incident.id, again.incident.state) == (False, 1, State.WAITING)
    assert (again.incident.asked_at, again.incident.opened_at) == (60.0, 4.0)
    assert claimed(store).looks == 2


@pytest.mark.parametrize(
    ("channel", "thread", "now"),
    [
        pytest.param("C2", "", 60.0, id="in another channel"),
        pytest.param("C1", "17.1", 60.0, id="in a thread"),
        pytest.param("C1", "", 5.0 + FORGET_SECONDS, id="when the last look is forgotten"),
    ],
)
def test_asking_elsewhere_or_late_closes_the_old_incident_and_opens_another(
    store: Store, channel: str, thread: str, now: float
) -> None:
    ended(store, "r1", at=5.0)
    new = admit(store, "r2", now, channel, thread).incident
    assert (new.id, new.channel, new.thread) == (2, channel, thread)
    old = store.incident(1)
    assert old is not None
    assert not old.is_open
    assert store.incidents(10, only_open=True) == (new,)


def test_a_node_that_was_found_well_gets_a_new_incident(store: Store) -> None:
    ended(store, "r1", is_open=False)
    assert admit(store, "r2", now=6.0).incident.id == 2


def test_the_same_name_in_another_cluster_is_another_node(store: Store) -> None:
    admit(store, "r1")
    assert not admit(store, "r2", place=Place("other", "node-7")).joined


# ---- who looks ------------------------------------------------------------------------------------------------------


def test_a_claim_is_one_workers(store: Store) -> None:
    admitted(store)
    incident = claimed(store)
    assert (incident.state, incident.looks, incident.attempts) == (State.LOOKING, 1, 1)
    assert store.claim("w2", 15, now=14.9) is None
    assert store.waiting() == 0


def test_who_waits_longest_is_looked_at_first(store: Store) -> None:
    for number, at in ((1, 30.0), (2, 10.0), (3, 20.0)):
        admitted(store, f"r{number}", f"node-{number}", now=at)
    assert [claimed(store, now=40.0).node for _ in range(3)] == ["node-2", "node-3", "node-1"]


def test_a_look_that_died_is_taken_up_as_the_same_look(store: Store) -> None:
    admitted(store)
    claimed(store, "w1", now=0)
    taken = claimed(store, "w2", now=15)
    assert (taken.looks, taken.attempts) == (1, 2)
    assert not store.renew(1, "w1", 15, now=15)
    assert store.finish(diagnosed(taken), "w1", is_open=True) is None
    assert store.looks(1) == ()


def test_a_renewed_claim_outlives_its_lease(store: Store) -> None:
    admitted(store)
    claimed(store, "w1", now=0)
    assert store.renew(1, "w1", 15, now=14)
    assert store.claim("w2", 15, now=20) is None
    assert not store.renew(99, "w1", 15, now=14)


def test_what_was_found_stands_in_the_incident(store: Store) -> None:
    admitted(store)
    finished = store.finish(diagnosed(claimed(store), at=5.0), "w1", is_open=True)
    assert finished is not None
    assert (finished.state, finished.verdict, finished.headline) == (State.DIAGNOSED, "exhausted", "said")
    assert (finished.looked_at, finished.is_open, finished.worst) == (5.0, True, "exhausted")
    assert store.incident(1) == finished


def test_a_node_that_could_not_be_seen_has_no_verdict(store: Store) -> None:
    ended(store, "r1")
    admit(store, "r2", now=6.0)
    finished = store.finish(unseen(claimed(store, now=6.0), at=8.0, why="no answer"), "w1", is_open=True)
    assert finished is not None
    assert (finished.state, finished.verdict, finished.headline) == (State.NOT_SEEN, "", "no answer")
    assert finished.worst == "exhausted"


def test_a_look_is_finished_once(store: Store) -> None:
    admitted(store)
    look = diagnosed(claimed(store))
    assert store.finish(look, "w1", is_open=True)
    assert store.finish(look, "w1", is_open=True) is None


def test_every_verdict_has_its_place_among_the_bad_ones() -> None:
    from bot.store.incidents import VERDICTS  # noqa: PLC0415 - only this test looks inside

    assert set(VERDICTS) - {""} == {kind.value for kind in VerdictKind}


@pytest.mark.parametrize(
    ("kinds", "worst"),
    [
        pytest.param(("exhausted", "healthy"), "exhausted", id="better again"),
        pytest.param(("filling", "exhausted"), "exhausted", id="worse"),
        pytest.param(("healthy", "inconclusive"), "inconclusive", id="not to know is worse than well"),
    ],
)
def test_the_worst_verdict_is_kept(store: Store, kinds: tuple[str, ...], worst: str) -> None:
    for number, kind in enumerate(kinds):
        admit(store, f"r{number}", now=10.0 * number)
        look = diagnosed(claimed(store, now=10.0 * number), VerdictKind(kind), at=10.0 * number + 1)
        assert store.finish(look, "w1", is_open=True)
    incident = store.incident(1)
    assert incident is not None
    assert incident.worst == worst


@pytest.mark.parametrize("is_open", [True, False], ids=["in trouble", "well"])
def test_who_asked_before_a_look_had_ended_is_answered_by_it(store: Store, is_open: bool) -> None:
    admit(store, "r1", now=0.0)
    assert store.finish(diagnosed(claimed(store), at=5.0), "w1", is_open=is_open)
    late = asks("r2", at=4.0)
    store.receive(late)
    admission = store.admit(late, Place("lab", "node-7"), 30.0, FORGET_SECONDS)
    assert (admission.joined, admission.incident.id, admission.incident.looks) == (True, 1, 1)
    assert store.waiting() == 0


@pytest.mark.parametrize(("exact", "deep"), [(True, False), (False, True)], ids=["exact", "deep"])
def test_who_asks_for_more_than_was_looked_at_is_not_answered_by_it(store: Store, exact: bool, deep: bool) -> None:
    admit(store, "r1", now=0.0)
    assert store.finish(diagnosed(claimed(store), at=5.0), "w1", is_open=True)
    late = replace(asks("r2", at=4.0), exact=exact, deep=deep)
    store.receive(late)
    assert not store.admit(late, Place("lab", "node-7"), 30.0, FORGET_SECONDS).joined


def test_a_look_that_was_not_begun_becomes_what_all_ask_for(store: Store) -> None:
    admit(store, "r1")
    for key, exact, deep in (("r2", False, True), ("r3", True, False), ("r4", False, False)):
        request = replace(asks(key), exact=exact, deep=deep)
        store.receive(request)
        assert store.admit(request, Place("lab", "node-7"), 1.0, FORGET_SECONDS).joined
    begun = claimed(store)
    assert (begun.exact, begun.deep) == (True, True)


# ---- who reads ------------------------------------------------------------------------------------------------------


def test_the_newest_incidents_come_first_and_may_be_asked_for_by_channel(store: Store) -> None:
    admit(store, "r1", place=Place("lab", "node-1"))
    admit(store, "r2", place=Place("lab", "node-2"), channel="C2")
    admit(store, "r3", place=Place("lab", "node-3"))
    assert [one.id for one in store.incidents(10)] == [3, 2, 1]
    assert [one.id for one in store.incidents(1)] == [3]
    assert [one.id for one in store.incidents(10, channel="C1")] == [3, 1]
    assert store.incident(4) is None


def test_hostile_names_do_no_harm(store: Store) -> None:
    place = Place(HOSTILE, HOSTILE, HOSTILE)
    request = asks("r1", named=HOSTILE, channel=HOSTILE)
    store.receive(request)
    incident = store.admit(request, place, 0.0, FORGET_SECONDS).incident
    again = store.admit(asks("r2", channel=HOSTILE), place, 0.0, FORGET_SECONDS)
    assert (again.joined, again.incident.id) == (True, incident.id)
    assert Person(incident.asked_by.id, "T1") == ALICE
    assert store.verify() == ()
