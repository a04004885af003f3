"""The validator refuses what Slack would refuse, and says where."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deploy.local.slack.validator import problems, view_problems

Json = dict[str, Any]


def plain(text: str = "x") -> Json:
    return {"type": "plain_text", "text": text}


def mrkdwn(text: str = "x") -> Json:
    return {"type": "mrkdwn", "text": text}


def section(text: str = "x", **more: Any) -> Json:
    return {"type": "section", "text": mrkdwn(text), **more}


def button(**more: Any) -> Json:
    return {"type": "button", "text": plain(), "action_id": "a", **more}


def actions(*elements: Json) -> Json:
    return {"type": "actions", "elements": list(elements)}


def rich(*elements: Json) -> Json:
    return {"type": "rich_text", "elements": list(elements)}


def words(text: str = "x") -> Json:
    return {"type": "rich_text_section", "elements": [{"type": "text", "text": text, "style": {"bold": True}}]}


def option(value: str = "v", **more: Any) -> Json:
    return {"text": plain(), "value": value, **more}


CELL = {"type": "raw_text", "text": "x"}
TABLE = {"type": "table", "rows": [[CELL, CELL]], "column_settings": [None, {"align": "right"}]}
TASK = {"type": "task_card", "task_id": "1", "title": "Ping", "status": "complete", "output": rich(words())}
POINT = {"label": "a", "value": 1.5}
PIE = {"type": "data_visualization", "title": "Who", "chart": {"type": "pie", "segments": [POINT]}}
LINE = {
    "type": "data_visualization",
    "title": "When",
    "chart": {
        "type": "line",
        "series": [{"name": "closed", "data": [POINT]}],
        "axis_config": {"categories": ["a"], "x_label": "s"},
    },
}
INPUT = {"type": "input", "label": plain(), "element": {"type": "plain_text_input", "action_id": "why"}}
PICTURE = {"type": "image", "alt_text": "a chart", "image_url": "https://example.com/a.png"}
CONFIRM = {"title": plain(), "text": mrkdwn(), "confirm": plain(), "deny": plain(), "style": "danger"}
CONTAINER = {"type": "container", "title": plain(), "child_blocks": [section()], "is_collapsible": True}


@pytest.mark.parametrize(
    "block",
    [
        section(),
        section("x" * 3000),
        {"type": "section", "fields": [mrkdwn("x" * 2000)] * 2},
        section(accessory=button(style="primary", value="v" * 2000, confirm=CONFIRM)),
        section(accessory={"type": "overflow", "action_id": "o", "options": [option("1"), option("2")]}),
        {"type": "header", "text": plain("x" * 150)},
        {"type": "divider"},
        {"type": "context", "elements": [mrkdwn(), plain(), PICTURE]},
        actions(button(), {"type": "static_select", "action_id": "s", "placeholder": plain(), "options": [option()]}),
        {"type": "image", "slack_file": {"id": "F1"}, "alt_text": "a", "title": plain()},
        rich(words(), {"type": "rich_text_list", "style": "bullet", "elements": [words()], "indent": 1}),
        rich({"type": "rich_text_preformatted", "elements": [{"type": "text", "text": "$ sysctl"}], "border": 0}),
        rich({"type": "rich_text_quote", "elements": [{"type": "link", "url": "https://example.com"}]}),
        TABLE,
        {"type": "markdown", "text": "# x"},
        INPUT,
        {"type": "plan", "title": "Runbook", "tasks": [TASK]},
        TASK,
        CONTAINER,
        PIE,
        LINE,
        {"type": "video", "title": plain(), "alt_text": "a", "thumbnail_url": "https://a", "video_url": "https://a"},
        {"type": "context_actions", "elements": [{"type": "icon_button", "icon": "trash", "text": plain()}]},
        {"type": "data_table", "caption": "x", "rows": [[CELL], [{"type": "raw_number", "value": 1}]]},
    ],
    ids=lambda block: block["type"],
)
def test_what_slack_takes_passes(block: Json) -> None:
    assert problems([block]) == []


@pytest.mark.parametrize(
    ("block", "pointer"),
    [
        pytest.param({"type": "nonsense"}, "/blocks/0/type", id="unknown block"),
        pytest.param({}, "/blocks/0/type", id="no type"),
        pytest.param("text", "/blocks/0", id="no object"),
        pytest.param(section(colour="red"), "/blocks/0", id="unknown key"),
        pytest.param({"type": "section"}, "/blocks/0", id="a section of nothing"),
        pytest.param(section(""), "/blocks/0/text/text", id="empty text"),
        pytest.param(section(" \n"), "/blocks/0/text/text", id="blank text"),
        pytest.param(section("x" * 3001), "/blocks/0/text/text", id="long section"),
        pytest.param({"type": "section", "fields": [mrkdwn("x" * 2001)]}, "/blocks/0/fields/0/text", id="long field"),
        pytest.param({"type": "section", "fields": [mrkdwn()] * 11}, "/blocks/0/fields", id="many fields"),
        pytest.param({"type": "header", "text": mrkdwn()}, "/blocks/0/text/type", id="mrkdwn header"),
        pytest.param({"type": "header", "text": plain("x" * 151)}, "/blocks/0/text/text", id="long header"),
        pytest.param({"type": "context", "elements": [mrkdwn()] * 11}, "/blocks/0/elements", id="much context"),
        pytest.param({"type": "context", "elements": []}, "/blocks/0/elements", id="no context"),
        pytest.param({"type": "context", "elements": [button()]}, "/blocks/0/elements/0/type", id="pressable context"),
        pytest.param(actions(*[button(action_id=str(n)) for n in range(26)]), "/blocks/0/elements", id="many buttons"),
        pytest.param(actions(button(), button()), "/blocks/0", id="one action_id twice"),
        pytest.param(actions(button(value="x" * 2001)), "/blocks/0/elements/0/value", id="long value"),
        pytest.param(actions(button(text=plain("x" * 76))), "/blocks/0/elements/0/text/text", id="long button"),
        pytest.param(actions(button(style="green")), "/blocks/0/elements/0/style", id="unknown style"),
        pytest.param(actions(button(url="javascript:1")), "/blocks/0/elements/0/url", id="no address"),
        pytest.param(
            actions(button(confirm=CONFIRM | {"text": mrkdwn("x" * 301)})),
            "/blocks/0/elements/0/confirm/text/text",
            id="long confirm",
        ),
        pytest.param(
            actions({"type": "static_select", "options": [option()], "initial_option": option("other")}),
            "/blocks/0/elements/0",
            id="an initial option that is none",
        ),
        pytest.param(
            actions({"type": "static_select", "options": [option("x" * 151)]}),
            "/blocks/0/elements/0/options/0/value",
            id="long option",
        ),
        pytest.param({"type": "image", "alt_text": "x"}, "/blocks/0", id="an image of nothing"),
        pytest.param({"type": "image", "image_url": "https://a"}, "/blocks/0", id="an image without words"),
        pytest.param(rich(words("")), "/blocks/0/elements/0/elements/0/text", id="empty rich text"),
        pytest.param(rich({"type": "text", "text": "x"}), "/blocks/0/elements/0/type", id="text outside of a section"),
        pytest.param(TABLE | {"rows": [[CELL] * 21]}, "/blocks/0/rows/0", id="wide table"),
        pytest.param(TABLE | {"rows": [[CELL]] * 101}, "/blocks/0/rows", id="long table"),
        pytest.param(TABLE | {"rows": [[CELL | {"text": ""}]]}, "/blocks/0/rows/0/0/text", id="empty cell"),
        pytest.param(TASK | {"status": "done"}, "/blocks/0/status", id="unknown status"),
        pytest.param(CONTAINER | {"child_blocks": [CONTAINER]}, "/blocks/0/child_blocks/0/type", id="nested container"),
        pytest.param(CONTAINER | {"child_blocks": [section()] * 11}, "/blocks/0/child_blocks", id="full container"),
        pytest.param(
            PIE | {"chart": {"type": "pie", "segments": [POINT] * 7}}, "/blocks/0/chart/segments", id="many segments"
        ),
        pytest.param(
            LINE | {"chart": LINE["chart"] | {"axis_config": {"categories": ["b"]}}},  # type: ignore[operator] # a dict
            "/blocks/0/chart/series/0",
            id="labels of other categories",
        ),
        pytest.param({"type": "alert", "text": plain()}, "/blocks/0/type", id="an alert in a message"),
        pytest.param(section(block_id="x" * 256), "/blocks/0/block_id", id="long block_id"),
    ],
)
def test_what_slack_refuses_is_pointed_at(block: Any, pointer: str) -> None:
    (said,) = problems([block])
    assert said.endswith(f"[json-pointer:{pointer}]")


@pytest.mark.parametrize(
    ("blocks", "words_of_it"),
    [
        pytest.param([section()] * 51, "no more than 50 items", id="51 blocks"),
        pytest.param([section("x" * 2800)] * 5, "msg_blocks_too_long", id="13,000 characters"),
        pytest.param([TABLE, TABLE], "only_one_table_allowed", id="two tables"),
        pytest.param([section(block_id="a"), section(block_id="a")], "`block_id` already exists", id="one id twice"),
        pytest.param([{"type": "markdown", "text": "x" * 6001}] * 2, "markdown blocks", id="much markdown"),
        pytest.param([PIE] * 3, "no more than 2 data_visualization", id="three charts"),
        pytest.param({}, "must be an array", id="no list"),
        pytest.param(None, "must be an array", id="nothing"),
    ],
)
def test_what_is_too_much_together_is_refused(blocks: Any, words_of_it: str) -> None:
    assert any(words_of_it in one for one in problems(blocks))


def test_a_file_can_be_shown_once_it_is_known_as_a_picture() -> None:
    block = {"type": "image", "slack_file": {"id": "F1"}, "alt_text": "x"}
    assert problems([block], images={"F1"}) == []
    assert problems([block], images=()) == ["invalid slack file [json-pointer:/blocks/0/slack_file]"]


MODAL = {"type": "modal", "title": plain(), "submit": plain(), "blocks": [INPUT]}


@pytest.mark.parametrize(
    ("view", "kind", "words_of_it"),
    [
        (MODAL | {"title": plain("x" * 25)}, "modal", "less than 25 characters"),
        ({"type": "modal", "title": plain(), "blocks": [INPUT]}, "modal", "missing required field: submit"),
        (MODAL | {"private_metadata": "x" * 3001}, "modal", "less than 3001 characters"),
        (MODAL | {"blocks": [section()] * 101}, "modal", "no more than 100 items"),
        (MODAL | {"blocks": [TABLE]}, "modal", "unsupported type: table"),
        (MODAL, "home", "must be a view of type home"),
        ({"type": "home", "title": plain(), "blocks": []}, "home", "invalid additional property: title"),
        (None, "modal", "must be a view"),
    ],
)
def test_a_view_has_limits_of_its_own(view: Any, kind: str, words_of_it: str) -> None:
    assert any(words_of_it in one for one in view_problems(view, kind))


def test_good_views_pass() -> None:
    assert view_problems(MODAL, "modal") == []
    assert view_problems({"type": "home", "blocks": [section()] * 100}, "home") == []


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "text", "elements", "rows", "options", "block_id"]), inner, max_size=4
        )
    ),
    max_leaves=12,
)
KINDS = st.sampled_from(["section", "header", "context", "actions", "rich_text", "table", "image", "plan", "container"])


@settings(max_examples=60)
@given(ANYTHING, KINDS)
def test_nothing_makes_the_validator_fall_over(junk: Any, kind: str) -> None:
    block = junk | {"type": kind} if isinstance(junk, dict) else {"type": kind, "text": junk, "elements": junk}
    assert all("[json-pointer:/" in one for one in [*problems([block]), *problems(junk), *view_problems(junk, "home")])
