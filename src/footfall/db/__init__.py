"""SQL, and only here: the schema, and functions that read and write it."""
