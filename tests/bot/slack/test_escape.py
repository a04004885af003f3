from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.slack import escape
from tests.bot.strategies import HOSTILE


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        pytest.param("<!channel>", "&lt;!channel&gt;", id="a ping of everybody"),
        pytest.param("<https://evil|runbook>", "&lt;https://evil|runbook&gt;", id="a forged link"),
        pytest.param("*x*", "∗x∗", id="bold"),  # noqa: RUF001 - what replaces an asterisk
        pytest.param("_x_ nf_conntrack_max", "ˍxˍ nf_conntrack_max", id="italics, but not inside a word"),
        pytest.param("~x~", "∼x∼", id="struck out"),  # noqa: RUF001 - what replaces a tilde
        pytest.param("a ``` b", "a ˋˋˋ b", id="a block of code"),  # noqa: RUF001 - what replaces a backtick
        pytest.param(":fire: payments:80", "∶fire: payments:80", id="an emoji, but no port"),  # noqa: RUF001 - the same
        pytest.param("@here a@b.example", "＠here a@b.example", id="a bare call, but no address"),  # noqa: RUF001 - the same
        pytest.param("> q\n> q", "› q\n› q", id="quotes"),  # noqa: RUF001 - the same
        pytest.param("a\x1b[2J\u202eb\u200b", "a\\x1b[2J\\u202eb\\u200b", id="what hides or reverses"),
        pytest.param("R&D &lt;", "R&amp;D &amp;lt;", id="an entity that was there"),
    ],
)
def test_foreign_text_says_what_it_is(text: str, wanted: str) -> None:
    assert escape.plain(text) == wanted


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        pytest.param(
            "shop/checkout-7fff (Deployment checkout) holds",
            "`shop/checkout-7fff` (Deployment checkout) holds",
            id="a pod",
        ),
        pytest.param(
            "most to Service shop/payments:80.",
            "most to Service `shop/payments:80`.",
            id="a service at a sentence's end",
        ),
        pytest.param("in /etc/sysctl.d, with", "in `/etc/sysctl.d`, with", id="a path"),
        pytest.param("nf_conntrack_max 8,000", "`nf_conntrack_max` 8,000", id="a sysctl"),
        pytest.param("99 % TIME_WAIT", "99 % TIME_WAIT", id="a state is a word"),
        pytest.param("to 10.0.0.1:53, to fd00:10:244::1", "to `10.0.0.1:53`, to `fd00:10:244::1`", id="addresses"),
        pytest.param("a node `nod-7`?", "a node `nod-7`?", id="what was quoted already"),
        pytest.param("a `<!here>`", "a `&lt;!here&gt;`", id="mischief that was quoted"),
        pytest.param("12:30, 3/4 and 20/s", "12:30, `3/4` and `20/s`", id="what only looks so"),
        pytest.param("Note: a. b", "Note: a. b", id="plain words"),
    ],
)
def test_words_of_machines_can_be_told_from_prose(text: str, wanted: str) -> None:
    assert escape.prose(text) == wanted


def test_a_code_span_has_one_beginning_and_one_end() -> None:
    assert escape.code("a`b\nc") == "`aˋb c`"  # noqa: RUF001 - what replaces a backtick
    assert escape.code(" ") == ""


@pytest.mark.parametrize(
    ("identity", "wanted"),
    [
        ("U0123ABCD", "<@U0123ABCD>"),
        ("<!channel>", "&lt;!channel&gt;"),
        ("", "somebody"),
        ("U1> <!here", "U1&gt; &lt;!here"),
    ],
)
def test_only_an_id_mentions_somebody(identity: str, wanted: str) -> None:
    assert escape.person(identity) == wanted


@pytest.mark.parametrize(
    "address", ["javascript:alert(1)", "https://a|b", "https://a> <!here>", "https://a b", "", "https://ü"]
)
def test_what_is_no_address_is_no_link(address: str) -> None:
    assert escape.link(address, "INC-12") == "INC-12"


def test_a_link_shows_its_text_and_not_more() -> None:
    assert escape.link("https://a.slack.com/p1?a=1&b=2", "a|b") == "<https://a.slack.com/p1?a=1&amp;b=2|a¦b>"


@pytest.mark.parametrize("seconds", [float("nan"), float("inf"), 1e300, -1e300], ids=str)
def test_an_absurd_time_is_unknown(seconds: float) -> None:
    assert escape.moment(seconds) == "at an unknown time"


@given(st.one_of(st.sampled_from(HOSTILE), st.text()))
def test_whatever_the_text_is_it_opens_nothing(text: str) -> None:
    for said in (escape.plain(text), escape.prose(text), escape.code(text)):
        outside = re.sub(r"`[^`\n]+`", "", said)
        assert not set("`*~") & set(outside)
        assert not set("<>") & set(said)
        assert re.search(r"&(?!amp;|lt;|gt;)", said) is None
        assert all(letter.isprintable() or letter == "\n" for letter in said)
