"""Where closed journal segments go, one file each."""
