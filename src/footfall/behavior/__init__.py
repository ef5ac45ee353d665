"""The behavior wing: features, tasks and task runs, each made by a run of the compute wing."""
