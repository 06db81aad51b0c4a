"""From the bytes of an object to its row."""
