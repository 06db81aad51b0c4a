"""Write rows of new uploads and deletions as they arrive."""
