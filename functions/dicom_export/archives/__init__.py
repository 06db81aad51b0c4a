"""Members of ZIP and tar archives as the objects of a store."""
