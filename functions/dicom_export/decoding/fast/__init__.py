"""The fast decoder: little endian headers that keep to the standard, read with the help of what earlier instances were like."""
