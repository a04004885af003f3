"""``python -m bot`` is ``conntrack-bot``."""

from bot.cli import main

main()
