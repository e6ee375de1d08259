"""The metrics by task: names, directions, how each is computed, and many of them at once under weights."""
