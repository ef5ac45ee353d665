"""What moves runs: the loop, its lease, the schedule, and what the end of a node means."""
