"""Learners, calibration, and the one graph that ships."""
