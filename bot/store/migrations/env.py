"""What Alembic runs for a command: the steps, in the transaction of the connection that ``bot.store.schema`` gives.

It must not know the steps, nor open a database by itself.
"""

from __future__ import annotations

from alembic import context

from bot.store.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
