"""What watchers share: what they are shown of a log, how they read it, and what they remember."""
