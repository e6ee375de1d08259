"""How files that are elsewhere come here: listed, asked for in pieces, kept between runs."""
