"""Read DICOM stores in S3 buckets, of Amazon and of other servers with the same API."""
