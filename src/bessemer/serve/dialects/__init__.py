"""The protocols a server speaks, one file each: bytes to a batch, predictions to bytes, no sockets."""
