"""The files of a working directory that a run gets: which they are, and the archive of them."""
