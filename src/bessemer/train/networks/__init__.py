"""Networks of an encoder for each column, a combiner and a head; the learner `network` trains them."""
