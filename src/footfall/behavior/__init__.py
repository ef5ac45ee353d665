"""The behavior wing: features, tasks, task runs and profiles, each made by a run of the compute wing."""
