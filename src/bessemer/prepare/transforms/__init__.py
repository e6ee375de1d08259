"""One file a kind of column: fitted in SQL on the train part, written as nodes of the graph."""
