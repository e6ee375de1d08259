"""Others' AutoML, to compare with: judged on the rows our own candidates are judged on, and never shipped."""
