"""What this machine has: GPUs, container engines, ways of isolation."""
