"""Training again: when, on what, whether the new model is better, and how it comes into service."""
