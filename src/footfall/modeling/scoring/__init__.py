"""What is done with what was learned: scores, audiences, keywords. NumPy and Numba only."""
