"""The rules of features, tasks, task runs and profiles, each made by a run of compute."""
