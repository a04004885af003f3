"""Whatever happens in whatever order: no request is lost, no incident has two workers, the last word is read."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from bot.model import Kind, Letter, Message, Place
from bot.store import Store
from tests.bot.store.words import FORGET_SECONDS, LEASE_SECONDS, asks, card, diagnosed, file, unseen, whisper

WORKERS = st.sampled_from(["w1", "w2", "w3"])
NODES = st.sampled_from(["node-1", "node-2"])
PLACES = st.sampled_from([("C1", ""), ("C2", ""), ("C1", "17.1")])
FEW = settings(
    max_examples=20,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=set(Phase) - {Phase.explain},  # It traces every line, SQLAlchemy's too: a failure would take minutes.
)


class Work(RuleBasedStateMachine):
    """Desks and lookers that work, die, come too late and give back, on a clock that only they move."""

    def __init__(self) -> None:
        super().__init__()
        self.store = Store.open("sqlite://")
        self.now = 0.0
        self.asked: set[str] = set()
        self.answered: set[str] = set()
        self.at_desk: dict[str, float] = {}
        self.holds: dict[int, tuple[str, float]] = {}

    @rule(node=NODES, place=PLACES)
    def ask(self, node: str, place: tuple[str, str]) -> None:
        request = asks(f"r{len(self.asked)}", node, *place, at=self.now)
        assert self.store.receive(request)
        assert not self.store.receive(request)
        self.asked.add(request.key)

    @rule(dies=st.sampled_from(["never", "before admitting", "before answering"]))
    def answer(self, dies: str) -> None:
        request = self.store.next_request("desk", LEASE_SECONDS, self.now)
        if request is None:
            return
        assert request.key in self.asked - self.answered
        assert self.at_desk.get(request.key, 0.0) <= self.now
        self.at_desk[request.key] = self.now + LEASE_SECONDS
        if dies == "before admitting":
            return
        admission = self.store.admit(request, Place("lab", request.named), self.now, FORGET_SECONDS)
        assert admission.incident.node == request.named
        if dies == "never":
            self.store.answered(request.key)
            self.answered.add(request.key)

    @rule(worker=WORKERS)
    def claim(self, worker: str) -> None:
        incident = self.store.claim(worker, LEASE_SECONDS, self.now)
        if incident is not None:
            _, until = self.holds.get(incident.id, ("", 0.0))
            assert until <= self.now, "two workers have one incident"
            self.holds[incident.id] = (worker, self.now + LEASE_SECONDS)

    @precondition(lambda self: self.holds)
    @rule(worker=WORKERS, what=st.sampled_from(["renew", "finish", "not seen"]), choose=st.randoms())
    def go_on(self, worker: str, what: str, choose: st.DrawFn) -> None:
        number = choose.choice(sorted(self.holds))  # type: ignore[attr-defined] # hypothesis' Random
        is_its_own = self.holds[number][0] == worker
        if what == "renew":
            assert self.store.renew(number, worker, LEASE_SECONDS, self.now) == is_its_own
            if is_its_own:
                self.holds[number] = (worker, self.now + LEASE_SECONDS)
            return
        incident = self.store.incident(number)
        assert incident is not None
        look = diagnosed(incident, at=self.now) if what == "finish" else unseen(incident, at=self.now)
        assert (self.store.finish(look, worker, is_open=what != "finish") is not None) == is_its_own
        if is_its_own:
            del self.holds[number]

    @rule(seconds=st.sampled_from([1.0, LEASE_SECONDS, FORGET_SECONDS]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @invariant()
    def a_node_has_one_open_incident(self) -> None:
        nodes = [one.node for one in self.store.incidents(100, only_open=True)]
        assert len(nodes) == len(set(nodes))

    def teardown(self) -> None:
        """Workers that do not die finish everything."""
        self.now += LEASE_SECONDS
        while request := self.store.next_request("desk", LEASE_SECONDS, self.now):
            self.store.admit(request, Place("lab", request.named), self.now, FORGET_SECONDS)
            self.store.answered(request.key)
            self.answered.add(request.key)
        while incident := self.store.claim("w", LEASE_SECONDS, self.now):
            assert self.store.finish(diagnosed(incident, at=self.now), "w", is_open=True)
        assert self.answered == self.asked
        assert not any(one.state.is_on_its_way for one in self.store.incidents(100))
        for one in self.store.incidents(100):
            assert [look.number for look in self.store.looks(one.id)] == list(range(1, one.looks + 1))
        assert self.store.verify() == ()
        self.store.close()


@dataclass
class Room:
    """A channel of a chat: what can be read there, under which key, and how often it was posted."""

    texts: dict[str, object] = field(default_factory=dict)
    posts: dict[str, int] = field(default_factory=dict)

    def take(self, letter: Letter) -> str:
        """Post or edit, after looking for what may be there, as the announcer does."""
        key = letter.message.key
        is_there = bool(letter.ts) or (letter.is_doubtful and key in self.texts)
        if not is_there:
            self.posts[key] = self.posts.get(key, 0) + 1
        if not (is_there and letter.message.kind is Kind.FILE):
            self.texts[key] = letter.message.body
        return f"ts of {key}"


class Talk(RuleBasedStateMachine):
    """A bot that says things, while the way to the chat fails in every way it can."""

    MESSAGES = (card(), card(key="part-1", under="INC-1/card"), card(key="part-2", under="INC-1/card"))

    def __init__(self) -> None:
        super().__init__()
        self.store = Store.open("sqlite://")
        self.room = Room()
        self.now = 0.0
        self.said: dict[str, object] = {}

    @initialize()
    def begin(self) -> None:
        for message in self.MESSAGES:
            self._say(message)

    @rule(message=st.sampled_from(MESSAGES), text=st.integers(0, 3))
    def say(self, message: Message, text: int) -> None:
        self._say(Message(message.key, "C1", message.kind, {"text": str(text)}, under=message.under))

    @rule()
    def say_what_is_said_once(self) -> None:
        self.store.say(whisper())
        self.store.say(file())

    @rule(outcome=st.sampled_from(["arrives", "busy", "dies before", "dies after", "no answer, but there"]))
    def send(self, outcome: str) -> None:
        letter = self.store.next_letter("C1", self.now)
        if letter is None:
            return
        if outcome in {"arrives", "dies after", "no answer, but there"}:
            ts = self.room.take(letter)
            if outcome == "arrives":
                self.store.delivered(letter.message.key, letter.version, ts)
        if outcome in {"busy", "no answer, but there"}:
            is_doubtful = outcome != "busy"
            self.store.undelivered(letter.message.key, letter.version, "", self.now + 1, is_doubtful=is_doubtful)

    @rule()
    def wait(self) -> None:
        self.now += 1

    @invariant()
    def nothing_is_there_twice(self) -> None:
        assert all(count == 1 for count in self.room.posts.values())

    @invariant()
    def replies_come_after_their_card_and_in_order(self) -> None:
        order = [key for key in self.room.posts if key in self.said]
        assert order == [message.key for message in self.MESSAGES][: len(order)]

    def teardown(self) -> None:
        """Once the chat works again, it shows what was said last."""
        self.now += 1
        while letter := self.store.next_letter("C1", self.now):
            self.store.delivered(letter.message.key, letter.version, self.room.take(letter))
        assert {key: self.room.texts.get(key) for key in self.said} == self.said
        self.store.close()

    def _say(self, message: Message) -> None:
        self.store.say(message)
        self.said[message.key] = dict(message.body)


TestWork = Work.TestCase
TestWork.settings = FEW
TestTalk = Talk.TestCase
TestTalk.settings = FEW
