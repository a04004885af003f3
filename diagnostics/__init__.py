"""Nodes: what to ask them, and what the answers mean.

Diagnosis only reads. Nothing in this package can reach the type that permits a change (``bot.model.Approval``); the
import contract in pyproject.toml keeps it that way.
"""
