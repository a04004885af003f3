"""Picture to PNG: who holds the table, and what was opened lately."""
