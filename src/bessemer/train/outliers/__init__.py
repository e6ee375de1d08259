"""How unusual a row is: one file a method, each fitted on the features that the model sees."""
