"""Cloud Storage: DICOM stores and the state of operations as objects of buckets."""
