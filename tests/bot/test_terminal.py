from __future__ import annotations

import io
import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from bot.report import report
from bot.terminal import Progress, show
from diagnostics.model import Diagnosis, Finding, Lookalike, Shown, Status, Unknown, Verdict, VerdictKind, Way
from diagnostics.runbook import judge
from tests.diagnostics.runbook.evidence import EXHAUSTED, HEALTHY, attribution, rates, seen, suspect

WAY = Way("pod", (), 1.1)
SICK, WELL = judge(EXHAUSTED, WAY), judge(HEALTHY, WAY)


class Terminal(io.StringIO):
    """What a person looks at."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "TTY_COMPATIBLE", "CLICOLOR_FORCE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")


def shown(diagnosis: Diagnosis = SICK, stream: io.StringIO | None = None, *, everything: bool = False) -> str:
    stream = stream or io.StringIO()
    show(report(diagnosis), stream, everything=everything)
    return stream.getvalue()


def finding(**changed: Any) -> Finding:
    return replace(Finding("ping", "Ping", Status.BAD, "Seen."), **changed)


@pytest.mark.parametrize("diagnosis", [pytest.param(SICK, id="exhausted"), pytest.param(WELL, id="healthy")])
def test_all_but_commands_fits_into_eighty_columns(diagnosis: Diagnosis) -> None:
    lines = shown(diagnosis, everything=True).splitlines()
    assert [line for line in lines if len(line) > 80 and not line.lstrip().startswith("$ ")] == []
    assert [line for line in lines if line != line.rstrip()] == []


def test_a_pipe_gets_no_escape_codes_and_a_terminal_gets_colours() -> None:
    assert "\x1b" not in shown()
    assert "\x1b[" in shown(stream=Terminal())


def test_the_weight_of_a_lead_does_not_run_into_its_text() -> None:
    assert "\x1b[1m  Who     \x1b[0m shop/checkout" in shown(stream=Terminal())


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_colours_are_off_where_they_are_not_wanted(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    assert re.findall(r"\x1b\[[0-9;]*(?:3[0-9]|9[0-9])[;m]", shown(stream=Terminal())) == []


def test_the_answer_comes_before_the_steps_and_they_keep_the_runbooks_order() -> None:
    text = shown()
    titles = [f"{number:>2} " for number in range(1, 13)]
    places = [re.search(rf"^{title}[✓!✗?-] ", text, re.MULTILINE) for title in titles]
    starts = [place.start() for place in places if place]
    assert len(starts) == 12
    assert starts == sorted(starts)
    assert text.index("is dropping new connections") < text.index("Who ") < text.index("Do first") < starts[0]


def test_a_long_page_ends_with_the_answer_again() -> None:
    tail = "\n".join(shown().splitlines()[-9:])
    assert "node-8 is dropping new connections" in tail
    assert "Do first" in tail
    assert "$ " not in tail


def test_a_healthy_node_is_a_few_lines_unless_all_is_asked_for() -> None:
    assert len(shown(WELL).splitlines()) <= 6
    assert "Usage, the source of truth" not in shown(WELL)
    assert "Usage, the source of truth" in shown(WELL, everything=True)


def test_what_could_not_be_seen_is_shown_even_on_a_healthy_node() -> None:
    blind = judge(seen(HEALTHY, ping=Unknown("ping is not allowed here")), WAY)
    assert "ping is not allowed here" in shown(blind)


def test_marks_tell_the_status_without_colour() -> None:
    steps = tuple(finding(status=status, title=f"is {status}") for status in Status)
    text = shown(replace(SICK, findings=steps), everything=True)
    for mark, status in zip("✓!✗?-", Status, strict=True):
        assert f"{mark} is {status}" in text


def test_a_command_is_never_broken() -> None:
    command = "kubectl " + "very-long " * 30 + "end"
    text = shown(replace(SICK, findings=(finding(evidence=(Shown(command, ""),)),)))
    assert f"     $ {command}\n" in text


def test_long_output_is_cut_and_says_so() -> None:
    many = finding(evidence=(Shown("x", "\n".join(f"row {n}" for n in range(20))),))
    text = shown(replace(SICK, findings=(many,)))
    assert "row 7\n" in text
    assert "row 8\n" not in text
    assert "12 more lines: --verbose" in text
    assert "row 19\n" in shown(replace(SICK, findings=(many,)), everything=True)


def test_other_causes_are_told_in_full_when_found_and_otherwise_on_request() -> None:
    others = (
        Lookalike("snat_ports", "found", "Ports are short."),
        Lookalike("softnet", "ruled out", "Nothing lost."),
        Lookalike("cilium", "unknown", "Not read."),
    )
    text = shown(replace(SICK, lookalikes=others))
    assert "! snat ports, found: Ports are short." in text
    assert "softnet" not in text
    assert "softnet, ruled out: Nothing lost." in shown(replace(SICK, lookalikes=others), everything=True)


def test_another_cause_is_named_once_and_the_steps_with_nothing_to_report_are_not_shown() -> None:
    ports = judge(seen(HEALTHY, rates=rates(drops=120, insert_failed=120)), WAY)
    text = shown(ports)
    assert text.count("120 failed inserts") == 1
    assert len(text.splitlines()) <= 25
    assert "nothing to report; --verbose shows them." in text


def test_steps_that_are_no_question_are_named_and_not_shown() -> None:
    steps = (finding(), finding(step="restarts", title="Restarts", status=Status.SKIPPED, says="No."))
    text = shown(replace(SICK, findings=steps))
    assert "Skipped (--verbose says why): Restarts." in text
    assert "     No.\n" not in text


def test_numbers_stand_together_and_none_is_broken() -> None:
    lines = shown().splitlines()
    assert lines[1:3] == [
        "  8,000 of 8,000 entries · 4,310 packets dropped in 3 s",
        "  20 of 20 new connections failed",
    ]


def test_a_remedys_commands_stand_below_it_and_the_first_ones_only_at_the_top() -> None:
    text = shown()
    assert re.search(r"\n {5}2\. Raise the limit[^$]+\n {8}\$ sysctl -w net\.netfilter\.nf_conntrack_max=16000\n", text)
    assert text.count("$ nft add table") == 1
    assert re.search(r"1\. Throttle shop/checkout\S+ to 20 new connections a second\s+\(see above\)\.", text)


def test_the_commands_for_good_are_shown_on_request() -> None:
    assert "rollout restart daemonset kube-proxy" not in shown()
    assert "The commands for good: --verbose." in shown()
    assert "$ kubectl --namespace kube-system rollout restart daemonset kube-proxy" in shown(everything=True)
    assert "The commands for good" not in shown(everything=True)


def test_an_exhausted_nodes_page_with_all_twelve_steps_stays_within_140_lines() -> None:
    assert len(shown().splitlines()) <= 140


def test_what_helps_is_said_even_where_no_remedy_does() -> None:
    nothing = finding(step="remedies", title="What helps", says="Nothing about conntrack would help here.")
    assert "Nothing about conntrack would help here." in shown(replace(SICK, remedies=(), findings=(nothing,)))


def test_a_healthy_node_that_could_not_be_pinged_is_still_a_few_lines() -> None:
    well = judge(seen(HEALTHY, ping=Unknown("no default gateway"), unknown={"reach.ping": "no default gateway"}), WAY)
    assert len(shown(well).splitlines()) <= 6
    assert "ping" not in shown(well)


def test_what_was_not_read_is_said_below_the_steps() -> None:
    blind = judge(seen(EXHAUSTED, unknown={"owners": "needs the privileged profile"}), WAY)
    assert "? not read: owners (needs the privileged profile)" in shown(blind)


def test_names_of_any_width_keep_the_page_in_its_columns() -> None:
    wide = suspect(
        0.97, namespace="n" * 63, pod="p" * 253, label=f"{'n' * 63}/{'p' * 253}", owner="Deployment " + "d" * 253
    )
    chinese = suspect(0.97, label="节点" * 60, owner="部署 " * 40)
    for noisy in (wide, chinese):
        lines = shown(judge(seen(EXHAUSTED, attribution=attribution(noisy)), WAY)).splitlines()
        assert [line for line in lines if cell_len(line) > 80 and not line.lstrip().startswith("$ ")] == []


HOSTILE = "[bold red]x[/] :smile: \x1b[2J\x1b]0;title\x07 \u202eevil\r\x9b31m"


def test_hostile_names_are_harmless() -> None:
    evil = suspect(0.97, namespace=HOSTILE, pod=HOSTILE, label=f"{HOSTILE}/{HOSTILE}", owner=HOSTILE, note=HOSTILE)
    steps = (finding(says=HOSTILE, means=HOSTILE, correction=HOSTILE, evidence=(Shown(HOSTILE, HOSTILE),)),)
    verdict = Verdict(VerdictKind.EXHAUSTED, HOSTILE)
    text = shown(replace(SICK, noisy=evil, findings=steps, verdict=verdict), everything=True)
    assert "[bold red]x[/] :smile:" in text
    assert not set(text) & {"\x1b", "\x07", "\r", "\u202e", "\x9b"}
    assert r"\x1b[2J" in text


@settings(deadline=None, max_examples=50)
@given(st.text(max_size=400))
def test_any_text_is_printed_without_harm(text: str) -> None:
    printed = shown(replace(SICK, noisy_because=text, noisy=None, findings=(finding(says=text, title=text),)))
    assert not any(ord(letter) < 32 and letter != "\n" for letter in printed)


# ---- progress -------------------------------------------------------------------------------------------------------


def test_progress_in_a_pipe_is_plain_lines_without_repetition() -> None:
    stream = io.StringIO()
    progress = Progress(stream)
    for says in ("pod: created", "", "pod: created", "pod: looking\x1b[2J"):
        progress.tell(says)
    progress.end()
    assert [line.split("  ", 1)[1] for line in stream.getvalue().splitlines()] == [
        "pod: created",
        r"pod: looking\x1b[2J",
    ]


def test_progress_on_a_terminal_is_one_line_that_disappears() -> None:
    stream = Terminal()
    progress = Progress(stream)
    progress.tell("pod: created")
    progress.tell("")
    progress.tell("x" * 500)
    progress.end()
    assert "\n" not in stream.getvalue()
    assert stream.getvalue().endswith("\r\x1b[K")
    assert max(len(part) for part in stream.getvalue().split("\r\x1b[K")) < 80


def test_progress_on_a_dumb_terminal_rewrites_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    stream = Terminal()
    Progress(stream).tell("pod: created")
    assert stream.getvalue().endswith("pod: created\n")
    assert "\x1b" not in stream.getvalue()
