"""Decoding of what Pub/Sub and Cloud Storage send: push requests and bucket notifications."""
