"""Trackers: a run's parameters and curves, in MLflow and TensorBoard, beside the work."""
