"""Data structures that cross a process boundary: HTTP, jobs, runners."""
