"""A whole incident on one machine: a local Slack with a page, a small Kubernetes API, recorded nodes.

``python -m deploy.local`` runs it for people, and the tests use the same parts. It must share nothing with the bot but
the protocols between them, or both could be wrong together.
"""
