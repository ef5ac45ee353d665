"""Careful files: directories in which somebody else may write, and writes that outlive a power cut."""
