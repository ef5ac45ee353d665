"""Files in directories that others write to, and writes that survive a power cut."""
