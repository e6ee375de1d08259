"""What owns the sockets."""
