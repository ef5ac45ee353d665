"""From labels to a task: folds, stack, calibration, metrics."""
