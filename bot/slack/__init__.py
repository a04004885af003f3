"""Slack: its payloads become requests, the bot's words become blocks, and the outbox becomes messages."""
