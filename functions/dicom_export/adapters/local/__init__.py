"""The ports on one machine: a folder, a queue in this process, files, DuckDB."""
