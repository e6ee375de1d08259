"""Where notices go: one file a receiver."""
