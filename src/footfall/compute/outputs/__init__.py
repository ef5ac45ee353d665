"""Logs, metrics and artifacts of runs, read from the files of their nodes."""
