"""The complete way to a row: it reads what the fast way leaves, and explains what becomes of each element."""
