"""Pure array functions: intervals, metrics' foundations, sketches, distances, calibration."""
