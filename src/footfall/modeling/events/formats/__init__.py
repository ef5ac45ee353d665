"""The file formats of event logs: bytes to batches of columns, and where a row stands."""
