"""HTTP: Slack events by HTTP mode, and the health of the process."""
