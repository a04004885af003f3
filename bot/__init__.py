"""People: who asked, who may, what was done."""
