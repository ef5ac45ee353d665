"""Accounts, keys and buckets, and the requests that were received."""
