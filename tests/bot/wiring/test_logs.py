from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from bot.wiring import logs


@pytest.fixture
def out() -> Iterator[io.StringIO]:
    """The log, set up as in the running bot, and put back as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    out = io.StringIO()
    logs.set_up(out)
    yield out
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def lines(out: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_an_event_is_one_line_of_json(out: io.StringIO) -> None:
    structlog.get_logger().info("looked", incident="INC-1", seconds=1.5)
    (line,) = lines(out)
    assert (line["event"], line["incident"], line["seconds"], line["level"]) == ("looked", "INC-1", 1.5, "info")


def test_a_librarys_line_takes_the_same_way(out: io.StringIO) -> None:
    logging.getLogger("somebody").warning("a socket %s", "broke")
    assert lines(out)[0]["event"] == "a socket broke"


@pytest.mark.parametrize("name", ["slack_bolt.RequestVerification", "conntrack-bot:App", "paramiko.transport"])
def test_what_a_talkative_library_tells_is_left_out_unless_it_warns(out: io.StringIO, name: str) -> None:
    logger = logging.getLogger(name)
    logger.level = logging.INFO  # as Bolt does it
    logger.info("a whole payload")
    logger.warning("something is odd")
    assert [line["event"] for line in lines(out)] == ["something is odd"]


def test_a_traceback_is_part_of_its_line(out: io.StringIO) -> None:
    try:
        int("nothing at all")
    except ValueError:
        structlog.get_logger().exception("broke", failure="3f2a")
    (line,) = lines(out)
    assert "nothing at all" in str(line["exception"])


@pytest.mark.parametrize(
    "secret",
    [
        pytest.param("xoxb-1234-abc-DEF", id="the bot's token"),
        pytest.param("xapp-1-A0-99-f00", id="the app's token"),
        pytest.param("https://hooks.slack.com/commands/T1/2/s3cr3t", id="a response_url"),
        pytest.param("wss://wss-primary.slack.com/link/?ticket=s3cr3t&app_id=1", id="a socket's ticket"),
        pytest.param("Authorization: Bearer eyJhbGciOi.s3cr3t", id="a cluster's token"),
    ],
)
def test_no_secret_is_in_the_log(out: io.StringIO, secret: str) -> None:
    structlog.get_logger().warning(f"refused {secret}", said={"nested": [secret]})
    logging.getLogger("somebody").error("refused %s", secret)
    try:
        int(secret)
    except ValueError:
        structlog.get_logger().exception("broke")
    written = out.getvalue()
    assert logs.REDACTED in written
    for piece in ("s3cr3t", "1234-abc", "f00"):
        assert piece not in written.replace(logs.REDACTED, "")
