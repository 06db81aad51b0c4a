"""Exports the metadata of DICOM instances to BigQuery, or on one machine to DuckDB."""

__version__ = "0.1.0"
