"""One file a tool: `fit(task)` leaves a model in `task.model`, `load(task)` gives a function that predicts from it."""
