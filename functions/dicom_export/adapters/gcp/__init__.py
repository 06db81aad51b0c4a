"""Implement the ports with Cloud Storage, Pub/Sub and BigQuery."""
