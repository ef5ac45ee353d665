"""Compiled passes over text: hashes, lines, tokens, personal data."""
