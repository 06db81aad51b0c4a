"""The rows of a table: their layout, columns and descriptions, and the columns that are about an instance and not of it."""
