"""From the bytes of an object to its row: the fast decoder reads what is common, the reference decoder everything."""
