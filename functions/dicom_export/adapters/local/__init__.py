"""Implement the ports on one machine: with a folder, a queue in this process, files and DuckDB."""
