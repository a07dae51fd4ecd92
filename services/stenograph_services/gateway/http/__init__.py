"""What holds for every request: the server, the edge, who may ask, bodies and refusals."""
