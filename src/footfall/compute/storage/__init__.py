"""Storage of projects and volumes: usage, uploads, housekeeping."""
