"""Keep rows in BigQuery tables, and write them with the Storage Write API."""
