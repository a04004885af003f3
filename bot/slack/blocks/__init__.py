"""The bot's words as Slack bodies: each function returns the ``text`` and ``blocks`` of a message, within all limits.

Pure: values in, dicts out. This room knows how things read in Slack; it must not know how, when or where they are
sent, nor why the runbook says what it says.
"""

from bot.slack.blocks.card import card, looking, waiting
from bot.slack.blocks.evidence import evidence
from bot.slack.blocks.explanation import explanation
from bot.slack.blocks.home import home
from bot.slack.blocks.whispers import Health, follower, joined, manual, refused, status, worse

__all__ = [
    "Health",
    "card",
    "evidence",
    "explanation",
    "follower",
    "home",
    "joined",
    "looking",
    "manual",
    "refused",
    "status",
    "waiting",
    "worse",
]
