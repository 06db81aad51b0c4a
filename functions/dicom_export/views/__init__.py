"""The views next to a table: its current instances, studies, series and private elements."""
