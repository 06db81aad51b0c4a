"""Rows of new uploads and deletions, written while they arrive."""
