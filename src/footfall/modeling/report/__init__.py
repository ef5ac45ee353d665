"""The report of a task: quality, checks, behaviors, wording."""
