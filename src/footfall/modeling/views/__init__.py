"""The views of a user, one a module; see ``modeling/view.py``."""
