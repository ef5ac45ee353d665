"""Who may ask, and what was asked: accounts, keys, buckets, requests."""
