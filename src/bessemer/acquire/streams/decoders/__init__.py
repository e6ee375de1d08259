"""Codecs of messages, one format a file: bytes in, Arrow out, and no sockets."""
