"""The report of a task: quality, checks, contributions of behaviors, sentences."""
