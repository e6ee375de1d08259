"""The data contract as people meet it: what a snapshot breaks, since when, as a table and a page; and accepting it."""
