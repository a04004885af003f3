"""What happens next: a request is checked and admitted, a node looked at, the answer told. No Slack, no SQL.

Two sorts of workers: the desk answers requests in milliseconds (who asks, which node is meant), the lookers take the
seconds that a look takes. So that a request is answered while every looker is busy. What is known is in the store
before anything is said, and work is claimed for a time: whatever dies, somebody else takes it up.
"""

from __future__ import annotations

from bot.workflow.conductor import Workflow
from bot.workflow.seams import Errand, Gate, Nodes, Progress, Voice

__all__ = ["Errand", "Gate", "Nodes", "Progress", "Voice", "Workflow"]
