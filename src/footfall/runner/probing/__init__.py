"""The probe: which levels of isolation work here, found by what a command can do at each."""
