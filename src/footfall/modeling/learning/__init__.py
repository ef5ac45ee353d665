"""Training a task: labels, folds, stacking, calibration, metrics."""
