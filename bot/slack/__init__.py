"""Slack: requests in, messages out. Nothing outside this room knows what a Slack payload looks like."""
