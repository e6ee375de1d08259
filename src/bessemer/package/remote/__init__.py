"""Models on servers, ours or anybody's, asked over HTTP for their answers alone."""
