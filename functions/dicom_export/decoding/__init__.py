"""Decode an object's bytes to its row: the fast decoder reads common headers, the reference decoder all of them."""
