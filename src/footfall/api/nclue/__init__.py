"""/api/v1: the contract of NCLUE."""
