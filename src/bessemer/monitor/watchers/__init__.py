"""What is watched in a prediction log, window after window: one file each."""
