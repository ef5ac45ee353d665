"""Runs, and what moves them: the rules of who may do what, the schedule, the reconciler, and what a run leaves to read."""
