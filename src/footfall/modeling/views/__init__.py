"""The views of a user, one in each module; see ``modeling/view.py``."""
