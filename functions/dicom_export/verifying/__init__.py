"""Compare a store with a table, and repair the table's rows."""
