"""The command line: a user of ``footfall.client``, and what starts a server."""
