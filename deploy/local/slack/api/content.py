"""What a message may contain: text, blocks, attachments, metadata, within Slack's limits.

Every chat method goes through here, so that one place refuses what Slack would refuse.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from deploy.local.slack import validator
from deploy.local.slack.posting import with_ids
from deploy.local.slack.service import Service
from deploy.local.slack.state import Json
from deploy.local.slack.wire import Arguments, SlackError, invalid

TEXT_AT_MOST = 40_000  # docs: longer texts are cut
UPDATED_TEXT_AT_MOST = 4_000  # reported: an update refuses more than about this
ATTACHMENTS_AT_MOST = 100
FLAGS = ("unfurl_links", "unfurl_media", "parse", "link_names", "mrkdwn", "username", "icon_emoji", "reply_broadcast")

# Slack's codes where it is not simply that blocks are invalid.
_CODES = (("msg_blocks_too_long", "msg_blocks_too_long"), ("only_one_table_allowed", "invalid_attachments"))


@dataclass(frozen=True, slots=True)
class Content:
    """Checked, and ready to be posted. None means that the caller did not say."""

    text: str
    blocks: list[Json] | None
    attachments: list[Json] | None
    metadata: Json | None
    flags: Json = field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to post."""
        return not (self.text.strip() or self.blocks or self.attachments)


def content(service: Service, args: Arguments, *, is_update: bool = False) -> Content:
    """What the caller wants to say; refused as Slack refuses."""
    text = args.text("text")
    if is_update and len(text) > UPDATED_TEXT_AT_MOST:
        raise SlackError("msg_too_long")
    blocks = checked_blocks(service, args.json("blocks"))
    attachments = _attachments(service, args.json("attachments"))
    flags = {name: args.given[name] for name in FLAGS if name in args.given}
    made = Content(text[:TEXT_AT_MOST], blocks, attachments, _metadata(args.json("metadata")), flags)
    if made.is_empty and not (is_update and made.blocks is None and made.metadata):
        raise SlackError("no_text")
    return made


def checked_blocks(service: Service, blocks: Any, surface: validator.Surface = "message") -> list[Json] | None:
    """Valid blocks with ids, or None where there are none given."""
    if blocks is None:
        return None
    refuse(validator.problems(blocks, surface, images=service.workspace.images()))
    return with_ids(blocks)


def refuse(problems: list[str], code: str = "invalid_blocks") -> None:
    """Slack refuses the whole for one mistake, and says all it found."""
    for words, other in _CODES:
        if any(words in one for one in problems):
            raise invalid(other, problems)
    if problems:
        raise invalid(code, problems)


def _attachments(service: Service, attachments: Any) -> list[Json] | None:
    if attachments is None:
        return None
    if not isinstance(attachments, list) or not all(isinstance(one, dict) for one in attachments):
        raise SlackError("invalid_attachments")
    if len(attachments) > ATTACHMENTS_AT_MOST:
        raise SlackError("too_many_attachments")
    return [one | {"blocks": checked_blocks(service, one["blocks"])} if "blocks" in one else one for one in attachments]


def _metadata(metadata: Any) -> Json | None:
    if metadata is None or metadata == {}:
        return None
    well_formed = (
        isinstance(metadata, dict)
        and isinstance(metadata.get("event_type"), str)
        and bool(metadata["event_type"])
        and isinstance(metadata.get("event_payload"), dict)
    )
    if not well_formed:
        raise SlackError("invalid_metadata_format")
    return dict(metadata)
