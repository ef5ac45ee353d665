"""Executors, one a file; the settings name the file."""
