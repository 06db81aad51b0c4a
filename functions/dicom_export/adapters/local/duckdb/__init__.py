"""DuckDB files: tables, streams and queries."""
