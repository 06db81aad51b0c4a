"""From the elements of an instance to the row of a table."""
