"""Models that may be somebody's copy, asked for their answers alone: one file a way to ask."""
