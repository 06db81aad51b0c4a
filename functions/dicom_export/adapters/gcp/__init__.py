"""The ports on Google Cloud: Cloud Storage, Pub/Sub, BigQuery."""
