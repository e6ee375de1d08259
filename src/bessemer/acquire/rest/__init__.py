"""JSON over HTTP, page by page: how the pages follow, what their records are, and which types they have."""
