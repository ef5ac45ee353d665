"""Runs: their rules, scheduler and reconciler, and their logs, metrics and artifacts."""
