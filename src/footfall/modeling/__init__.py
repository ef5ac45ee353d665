"""The modelling core: from sequence files to features, from labels to tasks, from both to scores.

Imports nothing here, so that the scoring job starts with numpy and numba alone.
"""
