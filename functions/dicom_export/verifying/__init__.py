"""A comparison of a store with a table, and the repair of what the table lacks."""
