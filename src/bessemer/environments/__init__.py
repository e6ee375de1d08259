"""Places of their own for tools that are heavy, or clash with Bessemer's libraries.

Each is a folder in the user's cache, made at its first use from a file of pinned versions beside this one; its name has
the file's digest, so another list makes another folder. A worker, a script that knows nothing of Bessemer, runs in it.
"""
