"""The process beside every node of every run, outliving the server. Imports little before the command runs."""
