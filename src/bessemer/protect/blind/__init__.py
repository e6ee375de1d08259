"""Keys as arXiv 1903.01743 makes them: an encoder that is trained against a discriminator and for a host."""
