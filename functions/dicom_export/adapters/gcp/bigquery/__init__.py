"""BigQuery: tables, and streams of the Storage Write API."""
