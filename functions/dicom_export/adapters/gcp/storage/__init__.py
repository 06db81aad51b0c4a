"""Keep DICOM stores and the state of operations as objects in Cloud Storage buckets."""
