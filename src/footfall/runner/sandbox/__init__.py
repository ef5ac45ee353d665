"""How a command is kept apart: bubblewrap, Landlock, seccomp, control groups, networks."""
