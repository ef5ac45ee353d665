"""/accounts/v1: accounts, users, keys and buckets, all ours."""
