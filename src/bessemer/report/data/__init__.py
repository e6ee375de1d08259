"""The report's view of the data: aggregates of any number of rows, in two streaming passes over the split rows."""
