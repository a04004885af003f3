"""Blocks as HTML: each kind is drawn, and what cannot be drawn is loud."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.local.slack.page.mrkdwn import Names
from deploy.local.slack.page.render import message_body, rendered

NAMES = Names(people={"U0ALICE": "alice"}, images={"F1": "/_page/files/F1"})


def text(words: str, kind: str = "plain_text") -> dict[str, str]:
    return {"type": kind, "text": words}


def button(**more: Any) -> dict[str, Any]:
    return {"type": "button", "action_id": "go", "text": text("Go"), "value": "v"} | more


def section(*elements: dict[str, Any], kind: str = "rich_text_section") -> dict[str, Any]:
    return {"type": kind, "elements": list(elements)}


def rich(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"type": "rich_text", "elements": list(parts)}


WORDS = {"type": "text", "text": "<b> & *x*"}

DRAWN = [
    pytest.param({"type": "header", "text": text("Full")}, "<h3>Full</h3>", id="header"),
    pytest.param({"type": "section", "text": text("*a*", "mrkdwn")}, "<strong>a</strong>", id="section"),
    pytest.param({"type": "section", "fields": [text("a"), text("b")]}, '<div class="fields"><div>a', id="fields"),
    pytest.param({"type": "section", "text": text("a"), "accessory": button()}, 'data-action="go"', id="accessory"),
    pytest.param({"type": "context", "elements": [text("small")]}, "<span>small</span>", id="context"),
    pytest.param({"type": "divider"}, "<hr>", id="divider"),
    pytest.param({"type": "actions", "elements": [button(style="danger")]}, 'class="button danger"', id="button"),
    pytest.param({"type": "image", "slack_file": {"id": "F1"}, "alt_text": "a"}, 'src="/_page/files/F1"', id="image"),
    pytest.param(rich(section(WORDS)), "&lt;b&gt; &amp; *x*", id="rich text is literal"),
    pytest.param(rich(section(WORDS, kind="rich_text_preformatted")), "<pre>&lt;b&gt;", id="preformatted"),
    pytest.param(rich(section(WORDS, kind="rich_text_quote")), "<blockquote>", id="quote"),
    pytest.param(rich(section({"type": "user", "user_id": "U0ALICE"})), "@alice", id="a person in rich text"),
    pytest.param(rich(section({"type": "broadcast", "range": "here"})), 'class="ping"', id="a ping in rich text"),
    pytest.param(rich(section({**WORDS, "style": {"bold": True, "code": True}})), "<strong><code>", id="styles"),
    pytest.param(
        rich({"type": "rich_text_list", "style": "ordered", "offset": 2, "elements": [section(WORDS)]}),
        '<ol start="3"', id="a list that goes on"),
    pytest.param({"type": "table", "rows": [[{"type": "raw_text", "text": one}] for one in ("pod", "97 %")]},
                 "<td>97 %</td>", id="table"),
    pytest.param({"type": "markdown", "text": "**a**"}, "<strong>a</strong>", id="markdown"),
    pytest.param({"type": "plan", "title": "Steps", "tasks": [{"task_id": "1", "title": "Ping", "status": "complete"}]},
                 'class="task complete"', id="plan"),
    pytest.param({"type": "task_card", "title": "Ping", "status": "error"}, 'class="task error"', id="task card"),
    pytest.param({"type": "container", "title": text("Raw"), "is_collapsible": True, "default_collapsed": True,
                  "child_blocks": [{"type": "divider"}]}, "<details><summary>", id="container"),
    pytest.param({"type": "data_visualization", "title": "Who", "chart": {"type": "pie", "segments": [
        {"label": "checkout", "value": 97}]}}, '<meter value="97"', id="chart"),
    pytest.param({"type": "input", "block_id": "n", "label": text("Node"), "element": {
        "type": "plain_text_input", "action_id": "node", "multiline": True}}, 'data-error-for="n"', id="input"),
]  # fmt: skip


@pytest.mark.parametrize(("block", "html"), DRAWN)
def test_every_block_is_drawn(block: dict[str, Any], html: str) -> None:
    drawn = rendered([block], NAMES)
    assert html in drawn
    assert "unknown" not in drawn


@pytest.mark.parametrize(
    "block",
    [
        pytest.param({"type": "hologram"}, id="a block nobody knows"),
        pytest.param({"type": "header"}, id="a header without text"),
        pytest.param({"type": "table", "rows": []}, id="a table without rows"),
        pytest.param("text", id="no block at all"),
        pytest.param({"type": "actions", "elements": [{"type": "lever"}]}, id="an element nobody knows"),
        pytest.param(rich({"type": "rich_text_poem"}), id="a part of a rich text nobody knows"),
    ],
)
def test_what_cannot_be_drawn_is_loud(block: Any) -> None:
    assert 'role="alert"' in rendered([block], NAMES)


def test_a_confirm_dialog_goes_with_its_button() -> None:
    confirm = {"title": text("Sure?"), "text": text('"quoted" <b>'), "confirm": text("Do it"), "deny": text("No")}
    html = rendered([{"type": "actions", "elements": [button(confirm=confirm)]}], NAMES)
    assert "&quot;title&quot;: &quot;Sure?&quot;" in html
    assert "<b>" not in html


def test_a_picture_of_another_server_is_not_fetched() -> None:
    html = rendered([{"type": "image", "image_url": "https://tracker.example/x.png", "alt_text": "x"}], NAMES)
    assert "<img" not in html
    assert "https://tracker.example/x.png" in html


def test_the_text_shows_only_where_there_are_no_blocks() -> None:
    assert "words" in message_body("words", [], NAMES)
    assert "words" not in message_body("words", [{"type": "divider"}], NAMES)


def test_options_and_initial_choices_are_offered() -> None:
    options = [{"text": text("One"), "value": "1"}, {"text": text("Two"), "value": "2"}]
    select = {"type": "static_select", "action_id": "s", "options": options, "initial_option": options[1]}
    radio = {"type": "radio_buttons", "action_id": "r", "options": options, "initial_option": options[0]}
    more = {"type": "overflow", "action_id": "o", "options": options}
    html = rendered([{"type": "actions", "block_id": "b", "elements": [select, radio, more]}], NAMES)
    assert '<option value="2" selected>Two</option>' in html
    assert 'name="b/r" value="1" checked' in html
    assert html.count('data-action="o"') == 2


LEAVES = st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=5)
KEYS = st.sampled_from(
    ["type", "text", "elements", "element", "fields", "rows", "accessory", "label", "title", "chart"]
)
JUNK = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4))
KINDS = st.sampled_from([str(dict(one.values[0])["type"]) for one in DRAWN if isinstance(one.values[0], dict)])


@given(KINDS, st.dictionaries(KEYS, JUNK, max_size=5))
def test_no_block_breaks_the_page(kind: str, junk: dict[str, Any]) -> None:
    assert rendered([junk | {"type": kind}], NAMES).startswith("<div")
