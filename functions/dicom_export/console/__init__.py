"""Serve the web console: pages about the same exports that the API serves.

`paths` is all that an answer of the API needs of this package. The rest, and Jinja2, is imported for the first page.
"""
