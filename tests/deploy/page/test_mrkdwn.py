"""What a message's text looks like on the page: as in Slack, and never more than text."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.local.slack.page.mrkdwn import Names, markdown, mrkdwn

NAMES = Names(people={"U0ALICE": "alice"}, channels={"C0INCIDENTS": "incidents"}, groups={"S0APPROVERS": "approvers"})


def shown(source: str) -> str:
    """Without the line that wraps a single line."""
    return re.sub(r'^<span class="line">(.*)</span>$', r"\1", mrkdwn(source, NAMES))


@pytest.mark.parametrize(
    ("source", "html"),
    [
        pytest.param("a *b c* d", "a <strong>b c</strong> d", id="bold"),
        pytest.param("_x_ ~y~", "<em>x</em> <s>y</s>", id="italic and strike"),
        pytest.param("*_both_*", "<strong><em>both</em></strong>", id="bold and italic"),
        pytest.param("my_pod_name 2*3*4", "my_pod_name 2*3*4", id="a name with underscores is no style"),
        pytest.param("`a *b* &lt;c&gt;`", "<code>a *b* &lt;c&gt;</code>", id="nothing is styled in code"),
        pytest.param(":fire: :no_such:", '<span class="emoji" title=":fire:">🔥</span> :no_such:', id="emoji"),
        pytest.param("<@U0ALICE>", '<span class="mention" data-user="U0ALICE">@alice</span>', id="a person"),
        pytest.param("<#C0INCIDENTS|x>", '<span class="mention">#incidents</span>', id="a channel"),
        pytest.param("<!subteam^S0APPROVERS>", '<span class="mention">@approvers</span>', id="a group"),
        pytest.param("<javascript:alert(1)|x>", "&lt;javascript:alert(1)|x&gt;", id="only the web's links are links"),
        pytest.param("&lt;!channel&gt; &amp;amp;", "&lt;!channel&gt; &amp;amp;", id="escaped once stays text"),
        pytest.param("<img src=x onerror=alert(1)>", "&lt;img src=x onerror=alert(1)&gt;", id="HTML is text"),
        pytest.param("&#60;b&#62;", "&amp;#60;b&amp;#62;", id="Slack knows three entities only"),
        pytest.param("\ue0000\ue001 <@U0ALICE>", '0 <span class="mention" data-user="U0ALICE">@alice</span>',
                     id="the marks for what was put aside cannot be forged"),
    ],
)  # fmt: skip
def test_text_reads_as_in_slack(source: str, html: str) -> None:
    assert shown(source) == html


@pytest.mark.parametrize("source", ["<!channel>", "a <!here> b", "*<!everyone>*", "`<!channel>`", "```\n<!here>\n```"])
def test_what_would_ping_is_loud(source: str) -> None:
    assert '<strong class="ping"' in mrkdwn(source, NAMES)


def test_a_link_opens_elsewhere_and_tells_nothing() -> None:
    assert shown("<https://e.example/?a=1&amp;b=2|the *runbook*>") == (
        '<a href="https://e.example/?a=1&amp;b=2" target="_blank" rel="noreferrer noopener">the *runbook*</a>'
    )


def test_quotes_and_code_blocks_are_blocks() -> None:
    html = mrkdwn("before\n&gt; *one*\n&gt; two\n```\n a  b\n*c*```", NAMES)
    assert (
        '<blockquote><span class="line"><strong>one</strong></span><span class="line">two</span></blockquote>' in html
    )
    assert "<pre> a  b\n*c*</pre>" in html


def test_a_markdown_block_has_headings_lists_and_links() -> None:
    html = markdown("# Title\n- **a** and `b`\n[c](https://c.example) [d](javascript:x)\n```sh\nls <x>\n```")
    assert "<h4>Title</h4>" in html
    assert "<strong>a</strong> and <code>b</code>" in html
    assert '<a href="https://c.example"' in html
    assert "javascript" not in html
    assert "<pre>ls &lt;x&gt;</pre>" in html


class _Tags(HTMLParser):
    """Every tag and attribute that a browser would see."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen |= {tag, *(f"@{name}" for name, _ in attrs)}


ALLOWED = {"a", "blockquote", "code", "em", "h4", "pre", "s", "span", "strong", "time"}
ALLOWED |= {f"@{name}" for name in ("class", "data-long", "data-ts", "data-user", "href", "rel", "target", "title")}
HOSTILE = st.text(alphabet="<>&;|!@#^*_~`'\"\n:/ aU0\ue000\ue0011=()[]", max_size=80)


@given(HOSTILE)
def test_no_text_makes_a_tag_or_an_attribute_of_its_own(source: str) -> None:
    for html in (mrkdwn(source, NAMES), markdown(source)):
        parser = _Tags()
        parser.feed(html)
        assert parser.seen <= ALLOWED
