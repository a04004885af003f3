from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import pytest

from bot.config import ServeSettings
from bot.errors import StoreError
from bot.model import Incident, Look, Request, State
from bot.store import Store
from bot.workflow import Errand
from diagnostics.errors import LookError
from diagnostics.model import VerdictKind
from diagnostics.transport import Tell
from tests.bot.workflow.crew import ALICE, DAN, Crew, Doorkeeper, Notebook, RecordedNodes, asks, soon


@pytest.fixture
def store() -> Iterator[Store]:
    store = Store.open("sqlite://")
    yield store
    store.close()


@pytest.fixture
def crew(store: Store) -> Crew:
    return Crew(store)


def gated(crew: Crew) -> threading.Event:
    """Looks that go on until they are let go; they hear whether they should end meanwhile."""
    go = threading.Event()

    def wait(_errand: Errand, tell: Tell) -> None:
        while not go.wait(0.02):
            tell("")

    crew.nodes.meanwhile = wait
    return go


def told(store: Store) -> bool:
    return not store.untold(time.time() + 3600)


# ---- the story ------------------------------------------------------------------------------------------------------


def test_a_request_becomes_a_diagnosis_that_is_written_down_and_told(crew: Crew) -> None:
    with crew.working() as workflow:
        crew.ask(workflow, asks("1", "node-7"))
        soon(lambda: crew.voice.ends)
        soon(lambda: told(crew.store))
    (incident, look, earlier), *_ = crew.voice.ends
    assert (incident.node, incident.state, incident.is_open) == ("node-7", State.DIAGNOSED, True)
    assert look.report is not None
    assert look.report.kind is VerdictKind.EXHAUSTED
    assert look.picture is not None
    assert look.document["verdict"]["kind"] == "exhausted"
    assert earlier is None
    assert crew.store.looks(incident.id) == (look,)
    assert [what for _, what in crew.voice.history if what != "looking"] == ["waiting", "ended"]


def test_the_first_verdict_is_said_while_the_rest_is_awaited(crew: Crew) -> None:
    go = gated(crew)
    with crew.working() as workflow:
        crew.ask(workflow, asks("1", "node-7"))
        soon(lambda: any(progress.report for _, progress in crew.voice.progress))
        assert not crew.voice.ends
        go.set()
        soon(lambda: crew.voice.ends)


def test_a_healthy_node_closes_its_incident(crew: Crew) -> None:
    with crew.working() as workflow:
        crew.ask(workflow, asks("1", "node-8"))
        soon(lambda: crew.voice.ends)
    assert not crew.voice.ends[0][0].is_open
    assert not crew.store.incidents(10, only_open=True)


def test_the_recording_of_a_look_is_kept(crew: Crew) -> None:
    with crew.working() as workflow:
        crew.ask(workflow, asks("1", "node-7"))
        soon(lambda: crew.voice.ends)
    assert crew.voice.ends[0][1].recording[:2] == b"\x1f\x8b"  # gzip


def test_looking_again_at_the_same_node_says_what_was_before(crew: Crew) -> None:
    with crew.working() as workflow:
        crew.ask(workflow, asks("1", "node-7"))
        soon(lambda: len(crew.voice.ends) == 1)
        crew.ask(workflow, asks("2", "node-7"))
        soon(lambda: len(crew.voice.ends) == 2)
    incident, look, earlier = crew.voice.ends[1]
    assert (incident.id, look.number) == (1, 2)
    assert earlier == crew.voice.ends[0][1]


# ---- who asks for what ----------------------------------------------------------------------------------------------


def test_a_second_request_joins_the_look_that_goes_on(crew: Crew) -> None:
    go = gated(crew)
    with crew.working() as workflow:
        crew.ask(workflow, asks("1", "node-7"))
        soon(lambda: crew.voice.progress)
        crew.ask(workflow, asks("2", "node-7", person=DAN))
        soon(lambda: crew.voice.joins)
        go.set()
        soon(lambda: crew.voice.ends)
    assert crew.voice.joins == [("2", 1)]
    assert crew.nodes.looks == ["node-7"]


def test_a_name_that_is_no_node_is_refused_with_the_closest(crew: Crew) -> None:
    with crew.working() as workflow:
        crew.ask(workflow, asks("1", "nod-7"))
        soon(lambda: crew.voice.refusals)
    assert crew.voice.refusals == [("1", "I don't know a node `nod-7`. Did you mean `node-7`?")]
    assert not crew.store.incidents(10)


def test_who_may_not_ask_is_refused_and_that_is_in_the_audit(crew: Crew) -> None:
    crew.gate = Doorkeeper(frozenset({ALICE.id}))
    with crew.working() as workflow:
        crew.ask(workflow, asks("1", "node-7"))
        soon(lambda: crew.voice.refusals)
    assert crew.voice.refusals == [("1", "Guests may not ask. Nothing was done.")]
    assert [(line.actor, line.event) for line in crew.store.audit()] == [(ALICE.id, "refused")]


def test_a_request_is_answered_while_every_looker_is_busy(crew: Crew) -> None:
    crew.nodes.more = frozenset({"node-1", "node-2", "node-3"})
    go = gated(crew)
    with crew.working() as workflow:
        crew.ask(workflow, asks("1", "node-1"), asks("2", "node-2"))
        soon(lambda: len(crew.nodes.looks) == 2)
        crew.ask(workflow, asks("3", "node-3"), asks("4", "nowhere"))
        soon(lambda: crew.voice.refusals)
        soon(lambda: ("waiting", 0) in crew.voice.cards.values())
        go.set()
        soon(lambda: len(crew.voice.ends) == 3)
    assert crew.nodes.most_at_once == 2


def test_too_many_that_wait_are_refused_with_their_number_but_joining_is_not(crew: Crew) -> None:
    crew.nodes.more = frozenset({f"node-{number}" for number in range(1, 6)})
    crew.settings = ServeSettings(lookers=1, waiting_at_most=2)
    go = gated(crew)
    with crew.working() as workflow:
        crew.ask(workflow, asks("1", "node-1"))
        soon(lambda: crew.nodes.looks)
        crew.ask(workflow, asks("2", "node-2"), asks("3", "node-3"))
        soon(lambda: crew.store.waiting() == 2)
        crew.ask(workflow, asks("4", "node-4"), asks("5", "node-3", person=DAN))
        soon(lambda: crew.voice.refusals)
        soon(lambda: crew.voice.joins)
        go.set()
        soon(lambda: len(crew.voice.ends) == 3)
    ((key, says),) = crew.voice.refusals
    assert key == "4"
    assert "`node-4` would be number 3" in says
    assert crew.voice.joins[0][0] == "5"


def test_two_hundred_requests_for_fifty_nodes_are_one_look_for_each_node(crew: Crew) -> None:
    nodes = [f"node-{number}" for number in range(100, 150)]
    crew.nodes.more = frozenset(nodes)
    crew.settings = ServeSettings(lookers=8)
    go = gated(crew)
    with crew.working() as workflow:
        crew.ask(workflow, *(asks(str(number), nodes[number % 50]) for number in range(200)))
        soon(lambda: len(crew.voice.joins) == 150)
        go.set()
        soon(lambda: len(crew.voice.ends) == 50, seconds=30.0)
    assert sorted(crew.nodes.looks) == sorted(nodes)
    assert crew.nodes.most_at_once <= 8
    assert {what for what, _ in crew.voice.cards.values()} == {"ended"}


# ---- what goes wrong ------------------------------------------------------------------------------------------------


def test_a_node_that_could_not_be_looked_at_is_told_as_such_with_the_reason(crew: Crew) -> None:
    def fail(_errand: Errand, _tell: Tell) -> None:
        raise LookError("node-7: pod: silent for 15 s")

    crew.nodes.meanwhile = fail
    with crew.working() as workflow:
        crew.ask(workflow, asks("1", "node-7"))
        soon(lambda: crew.voice.ends)
    incident, look, _ = crew.voice.ends[0]
    assert (look.state, look.why, look.report) == (State.NOT_SEEN, "node-7: pod: silent for 15 s", None)
    assert incident.is_open


def test_a_defect_in_a_look_is_told_with_an_id_and_the_looker_lives(crew: Crew) -> None:
    def fail(errand: Errand, _tell: Tell) -> None:
        if errand.place.node == "node-7":
            raise ZeroDivisionError

    crew.nodes.meanwhile = fail
    crew.settings = ServeSettings(lookers=1)
    with crew.working() as workflow:
        crew.ask(workflow, asks("1", "node-7"), asks("2", "node-8"))
        soon(lambda: len(crew.voice.ends) == 2)
    assert [look.state for _, look, _ in crew.voice.ends] == [State.NOT_SEEN, State.DIAGNOSED]
    assert "Something broke on my side (id " in crew.voice.ends[0][1].why


def test_a_defect_at_the_desk_is_told_with_an_id_and_the_desk_lives(crew: Crew) -> None:
    class Broken(RecordedNodes):
        def locate(self, named: str) -> None:  # type: ignore[override]  # it never returns
            raise ZeroDivisionError

    crew.nodes = Broken()
    with crew.working() as workflow:
        crew.ask(workflow, *(asks(str(number), "node-7") for number in range(8)))
        soon(lambda: len(crew.voice.refusals) == 8)
    assert all("Something broke on my side (id " in says for _, says in crew.voice.refusals)


def test_an_answer_that_cannot_be_worded_still_ends_the_card(crew: Crew) -> None:
    class Wordless(Notebook):
        def ended(self, incident: Incident, look: Look, earlier: Look | None) -> None:
            if look.report is not None:
                raise ZeroDivisionError
            super().ended(incident, look, earlier)

    crew.voice = Wordless()
    with crew.working() as workflow:
        crew.ask(workflow, asks("1", "node-7"))
        soon(lambda: crew.voice.ends)
        soon(lambda: told(crew.store))
    assert "`conntrack-bot show INC-1` in a terminal has it" in crew.voice.ends[0][1].why
    assert crew.store.looks(1)[0].report is not None


def test_a_look_without_end_is_given_up(crew: Crew) -> None:
    gated(crew)
    crew.look_seconds = 0.2
    with crew.working() as workflow:
        crew.ask(workflow, asks("1", "node-7"))
        soon(lambda: crew.voice.ends)
    assert crew.voice.ends[0][1].state is State.NOT_SEEN
    assert "was given up" in crew.voice.ends[0][1].why


def test_a_store_that_fails_for_a_moment_costs_no_request(crew: Crew) -> None:
    class Stumbling(Notebook):
        stumbled = False

        def waiting(self, incident: Incident, ahead: int) -> None:
            if not self.stumbled:
                self.stumbled = True
                raise StoreError("The database is locked.")
            super().waiting(incident, ahead)

    crew.voice = Stumbling()
    with crew.working() as workflow:
        crew.ask(workflow, asks("1", "node-7"))
        soon(lambda: crew.voice.ends)
        soon(lambda: crew.store.next_request("test", 1.0, time.time() + 3600) is None)
    assert not crew.voice.refusals


# ---- progress -------------------------------------------------------------------------------------------------------


def test_progress_is_said_twice_a_second_at_most_and_the_newest_is_not_lost(crew: Crew) -> None:
    def chatter(_errand: Errand, tell: Tell) -> None:
        for number in range(40):
            tell(f"step {number}")
            time.sleep(0.02)
        for _ in range(40):
            tell("")
            time.sleep(0.02)

    crew.nodes.meanwhile = chatter
    with crew.working() as workflow:
        crew.ask(workflow, asks("1", "node-7"))
        soon(lambda: crew.voice.ends)
    told_at = [at for at, _ in crew.voice.progress[1:]]  # the first verdict comes at once after the beginning
    assert all(later - at > 0.45 for at, later in pairwise(told_at))
    assert crew.voice.progress[-1][1].says == "step 39"


# ---- death and stop -------------------------------------------------------------------------------------------------


def begun_and_died(store: Store, request: Request, attempts: int = 1) -> None:
    """A look that was begun, whose program died."""
    store.receive(request)
    crew = Crew(store)
    store.admit(request, crew.nodes.locate(request.named), time.time(), 1800.0)
    store.answered(request.key)
    for number in range(attempts):
        assert store.claim(f"dead-{number}", 0.0, time.time()) is not None


def test_a_look_that_died_is_taken_up_again(crew: Crew) -> None:
    begun_and_died(crew.store, asks("1", "node-7"))
    with crew.working():
        soon(lambda: crew.voice.ends)
    assert crew.voice.ends[0][1].state is State.DIAGNOSED


@pytest.mark.parametrize(
    ("asked_ago_seconds", "attempts"),
    [pytest.param(180.0, 1, id="asked for long ago"), pytest.param(1.0, 2, id="died twice")],
)
def test_a_look_that_died_is_told_as_interrupted(crew: Crew, asked_ago_seconds: float, attempts: int) -> None:
    begun_and_died(crew.store, asks("1", "node-7", at=time.time() - asked_ago_seconds), attempts)
    with crew.working():
        soon(lambda: crew.voice.ends)
    assert crew.voice.ends[0][1].state is State.INTERRUPTED
    assert not crew.nodes.looks


def test_what_only_waited_long_is_begun_whatever_its_age(crew: Crew) -> None:
    begun_and_died(crew.store, asks("1", "node-7", at=time.time() - 3600), attempts=0)
    with crew.working():
        soon(lambda: crew.voice.ends)
    assert crew.voice.ends[0][1].state is State.DIAGNOSED


def test_a_request_that_was_admitted_before_a_death_does_not_say_again_that_it_waits(crew: Crew) -> None:
    request = asks("1", "node-8")
    with crew.working() as workflow:
        crew.ask(workflow, request)
        soon(lambda: told(crew.store) and crew.voice.ends)
    again = Crew(crew.store, voice=crew.voice)
    later = replace(request, key="2", at=time.time())
    again.store.receive(later)  # as if its desk had died before "answered"
    again.store.next_request("dead", 0.0, time.time())
    again.store.admit(later, again.nodes.locate("node-8"), time.time(), 1800.0)
    incident = again.store.claim("other", 60.0, time.time())
    assert incident is not None
    with again.working() as workflow:
        workflow.nudge()
        soon(lambda: again.store.next_request("test", 1.0, time.time() + 3600) is None)
    assert incident.id not in crew.voice.cards


def test_a_look_that_was_not_told_is_told_later_and_once(crew: Crew, store: Store) -> None:
    class Mute(Notebook):
        def ended(self, incident: Incident, look: Look, earlier: Look | None) -> None:
            raise StoreError("The disk is full.")

    mute = Crew(store, voice=Mute())
    with mute.working() as workflow:
        mute.ask(workflow, asks("1", "node-7"))
        soon(lambda: store.looks(1))
    assert not told(store)
    with crew.working():
        soon(lambda: told(store))
    assert [look.number for _, look, _ in crew.voice.ends] == [1]


def test_a_look_that_cannot_be_told_keeps_no_other_waiting(crew: Crew, store: Store) -> None:
    class Mute(Notebook):
        def ended(self, incident: Incident, look: Look, earlier: Look | None) -> None:
            raise ValueError("no words at all")

    class Halting(Notebook):
        def ended(self, incident: Incident, look: Look, earlier: Look | None) -> None:
            if incident.id == 1:
                raise ValueError("no words at all")
            super().ended(incident, look, earlier)

    mute = Crew(store, voice=Mute())
    with mute.working() as workflow:
        mute.ask(workflow, asks("1", "node-7"))
        soon(lambda: store.looks(1))
        mute.ask(workflow, asks("2", "node-8"))
        soon(lambda: store.looks(2))
    crew.voice = Halting()
    with crew.working():
        soon(lambda: [incident.id for incident, _, _ in crew.voice.ends] == [2])


def test_a_stop_lets_a_look_end_in_time(crew: Crew) -> None:
    go = gated(crew)
    workflow = crew.workflow()
    workflow.start()
    crew.ask(workflow, asks("1", "node-7"))
    soon(lambda: crew.voice.progress)
    threading.Timer(0.2, go.set).start()
    assert workflow.stop(5.0)
    assert crew.voice.ends[0][1].state is State.DIAGNOSED


def test_a_stop_interrupts_a_look_that_does_not_end_and_the_card_says_so(crew: Crew) -> None:
    gated(crew)
    crew.nodes.more = frozenset({"node-1", "node-2"})
    workflow = crew.workflow()
    workflow.start()
    crew.ask(workflow, asks("1", "node-7"), asks("2", "node-1"))
    soon(lambda: len(crew.nodes.looks) == 2)
    crew.ask(workflow, asks("3", "node-2"))
    soon(lambda: crew.store.waiting() == 1)
    assert workflow.stop(0.1)
    assert [look.state for _, look, _ in crew.voice.ends] == [State.INTERRUPTED, State.INTERRUPTED]
    assert crew.store.waiting() == 1  # for the next start


def test_a_look_whose_claim_was_lost_ends_and_says_nothing(crew: Crew) -> None:
    class Forgetful(Store):
        def renew(self, incident: int, worker: str, lease_seconds: float, now: float) -> bool:
            return False

    gated(crew)
    forgetful = Forgetful(crew.store._database)
    losing = Crew(forgetful, nodes=crew.nodes, voice=crew.voice)
    workflow = losing.workflow()
    workflow.start()
    losing.ask(workflow, asks("1", "node-7"))
    soon(lambda: crew.voice.progress)
    soon(lambda: not any(thread.name == "hold-1" for thread in threading.enumerate()))
    assert workflow.stop(5.0)
    assert not crew.voice.ends


def test_a_bell_that_rings_while_everybody_is_busy_is_not_forgotten(
    crew: Crew, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.workflow.conductor.POLL_SECONDS", 600.0)
    crew.settings = ServeSettings(lookers=1)
    go = gated(crew)
    with crew.working() as workflow:
        crew.ask(workflow, asks("1", "node-7"))
        soon(lambda: crew.nodes.looks == ["node-7"])
        crew.ask(workflow, asks("2", "node-8"))
        soon(lambda: crew.store.waiting() == 1)
        go.set()
        soon(lambda: len(crew.voice.ends) == 2)
