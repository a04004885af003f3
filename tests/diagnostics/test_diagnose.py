"""Claims about the ladder: rungs overlap, the first answer wins, the others clean up, and silence is told as such."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from diagnostics import recording
from diagnostics.diagnose import Plan, diagnose
from diagnostics.errors import LookError, PodError, SshError, TargetError
from diagnostics.model import ClusterView, Diagnosis, Unknown, VerdictKind
from diagnostics.transport import Order, Report, Tell
from diagnostics.transport.replay import ReplayTransport
from tests.diagnostics.test_snapshot import LOOK, WATCH


@dataclass
class Way:
    """A transport that behaves: waits, tells, answers or fails, and knows whether it was cleaned up."""

    rung: str
    reports: tuple[Report, ...] = ()
    wait_seconds: float = 0.0
    fails: Exception | None = None
    cleaned_up: bool = False
    orders: list[Order] = field(default_factory=list)

    def look(self, order: Order, tell: Tell) -> Iterator[Report]:
        self.orders.append(order)
        try:
            end = time.monotonic() + self.wait_seconds
            while time.monotonic() < end:
                tell("")
                time.sleep(0.02)
            for report in self.reports:
                tell("an answer")
                yield report
            if self.fails is not None:
                raise self.fails
        finally:
            self.cleaned_up = True


def plan(*ways: Way, **more: object) -> Plan:
    given = {"overlap_seconds": 0.3, **more}
    return Plan("node-8", "node-8", "lab", ways, Order(), **given)  # type: ignore[arg-type]  # a test's shorthand


def quietly(_: str) -> None:
    pass


def test_the_first_rung_that_answers_is_named_and_the_next_is_not_tried() -> None:
    pod, ssh = Way("pod", (LOOK, WATCH)), Way("ssh", (LOOK,))
    found = diagnose(plan(pod, ssh), quietly)
    assert found.way.rung == "pod"
    assert [attempt.says for attempt in found.way.tried] == ["answered"]
    assert ssh.orders == []
    assert found.verdict.kind is VerdictKind.EXHAUSTED
    assert pod.cleaned_up


def test_a_rung_that_fails_is_followed_at_once_and_its_reason_is_kept() -> None:
    pod = Way("pod", fails=PodError("The image is missing."))
    found = diagnose(plan(pod, Way("ssh", (LOOK,)), overlap_seconds=30.0), quietly)
    assert found.way.rung == "ssh"
    assert [(attempt.rung, attempt.says) for attempt in found.way.tried] == [
        ("pod", "The image is missing."),
        ("ssh", "answered"),
    ]


def test_a_silent_rung_is_overtaken_abandoned_and_cleans_up() -> None:
    pod, ssh = Way("pod", (LOOK,), wait_seconds=20), Way("ssh", (LOOK,))
    began = time.monotonic()
    found = diagnose(plan(pod, ssh), quietly)
    assert time.monotonic() - began < 5
    assert found.way.rung == "ssh"
    assert "silent" in next(attempt.says for attempt in found.way.tried if attempt.rung == "pod")
    assert pod.cleaned_up


def test_a_slow_first_rung_may_still_win_over_the_second() -> None:
    pod, ssh = Way("pod", (LOOK, WATCH), wait_seconds=0.6), Way("ssh", (LOOK,), wait_seconds=20)
    found = diagnose(plan(pod, ssh), quietly)
    assert found.way.rung == "pod"
    assert found.snapshot is not None
    assert found.snapshot.stages == ("look", "watch")
    assert ssh.cleaned_up


def test_when_no_rung_answers_each_ones_reason_is_told() -> None:
    ways = Way("pod", fails=PodError("Not acknowledged.")), Way("ssh", fails=SshError("800 knocks, no answer."))
    with pytest.raises(LookError) as raised:
        diagnose(plan(*ways), quietly)
    assert str(raised.value).startswith("node-8: I could not look, so I do not know.")
    assert "pod: Not acknowledged." in str(raised.value)
    assert "ssh: 800 knocks, no answer." in str(raised.value)


def test_the_ways_are_told_in_the_ladders_order_whichever_failed_first() -> None:
    slow = Way("pod", wait_seconds=0.6, fails=PodError("Not acknowledged."))
    with pytest.raises(LookError, match=r"(?s)\npod: Not acknowledged\..*\nssh: No answer\."):
        diagnose(plan(slow, Way("ssh", fails=SshError("No answer."))), quietly)


def test_an_unknown_node_is_not_tried_by_other_ways() -> None:
    ssh = Way("ssh", (LOOK,))
    with pytest.raises(TargetError):
        diagnose(plan(Way("pod", fails=TargetError("I don't know a node `nod-8`.")), ssh), quietly)
    assert ssh.orders == []


def test_an_answer_that_breaks_off_is_still_a_diagnosis() -> None:
    found = diagnose(plan(Way("pod", (LOOK,), fails=PodError("The pod was deleted."))), quietly)
    assert found.snapshot is not None
    assert found.snapshot.connects == Unknown("The pod was deleted.")


def test_the_first_report_gives_a_first_diagnosis_while_the_rest_is_awaited() -> None:
    heard: list[Diagnosis] = []
    diagnose(plan(Way("pod", (LOOK, WATCH)), first=heard.append), quietly)
    assert [diagnosis.snapshot.stages for diagnosis in heard if diagnosis.snapshot] == [("look",)]


def test_the_cluster_is_asked_about_the_addresses_that_the_table_names() -> None:
    asked: list[tuple[str, ...]] = []

    def view(addresses: tuple[str, ...]) -> ClusterView:
        asked.append(addresses)
        nothing = Unknown("not asked")
        return ClusterView("lab", nothing, nothing, nothing, nothing, nothing)

    diagnose(plan(Way("pod", (LOOK, WATCH)), view=view), quietly)
    assert asked == [("10.244.8.5", "10.96.3.4")]


def test_a_caller_that_stops_listening_makes_the_rung_clean_up() -> None:
    pod = Way("pod", (LOOK,), wait_seconds=20)

    def interrupted(_: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        diagnose(plan(pod), interrupted)
    assert pod.cleaned_up


def test_a_recording_replays_to_the_same_verdict(tmp_path: Path) -> None:
    first = diagnose(plan(Way("pod", (LOOK, WATCH)), record_to=tmp_path / "recorded"), quietly)
    replayed = ReplayTransport(recording.read(tmp_path / "recorded").reports)
    again = diagnose(plan(replayed), quietly)  # type: ignore[arg-type]  # another way
    assert again.verdict == first.verdict
    assert again.findings == first.findings


def test_a_defect_of_one_rung_does_not_cost_the_answer_of_the_next() -> None:
    found = diagnose(plan(Way("pod", fails=ZeroDivisionError("oops")), Way("ssh", (LOOK,))), quietly)
    assert found.way.rung == "ssh"
    assert "a defect of this program" in found.way.tried[0].says


def test_a_defect_where_no_rung_answers_is_shown_as_it_is() -> None:
    with pytest.raises(ZeroDivisionError):
        diagnose(plan(Way("pod", fails=ZeroDivisionError("oops")), Way("ssh", fails=SshError("No."))), quietly)


def test_an_answer_without_any_fact_gives_way_to_another_rung() -> None:
    nothing = {"format": 1, "stage": "look", "unknown": {"stage": "stopped by a signal"}, "partial": True}
    found = diagnose(plan(Way("pod", (nothing,)), Way("ssh", (LOOK,))), quietly)
    assert found.way.rung == "ssh"
    assert found.way.tried[0].says == "stopped by a signal"
    alone = diagnose(plan(Way("pod", (nothing,))), quietly)
    assert alone.verdict.kind is VerdictKind.INCONCLUSIVE


def test_a_recording_that_cannot_be_written_does_not_cost_the_diagnosis(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file, where a folder is wanted")
    told: list[str] = []
    found = diagnose(plan(Way("pod", (LOOK, WATCH)), record_to=tmp_path / "taken"), told.append)
    assert found.verdict.kind is VerdictKind.EXHAUSTED
    assert any(says.startswith("not recorded: ") for says in told)
