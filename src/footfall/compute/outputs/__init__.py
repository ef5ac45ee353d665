"""What runs leave to read: logs, metrics, artifacts."""
