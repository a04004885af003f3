"""Knowledge of conntrack exhaustion, and nowhere else."""
