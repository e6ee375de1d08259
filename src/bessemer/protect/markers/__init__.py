"""One file a family of covers."""
