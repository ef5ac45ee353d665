"""What serves a command while it runs: metric endpoint, exec server, disk watch."""
