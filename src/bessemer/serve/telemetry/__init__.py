"""What a server tells of itself: metrics, an access log, traces. One file each; nothing here has sockets of its own."""
