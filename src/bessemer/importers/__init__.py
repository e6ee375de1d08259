"""Other tools' project files, turned into ours: a folder a tool, behind one table."""
