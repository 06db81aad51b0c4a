"""A table that is kept in sync with a folder."""
