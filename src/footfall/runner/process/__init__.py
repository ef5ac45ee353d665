"""Processes of a node: start, poll, reap, end."""
