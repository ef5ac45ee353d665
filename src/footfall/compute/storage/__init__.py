"""The disk under runs: how full it is, what is uploaded to it, what goes from it."""
