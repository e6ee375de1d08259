"""Report: what was found, as one self-contained page."""
