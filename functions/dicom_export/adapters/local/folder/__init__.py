"""Use the file system: folders as DICOM stores, and files for the state of operations."""
