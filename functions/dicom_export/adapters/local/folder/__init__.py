"""The file system: folders as DICOM stores, and the state of operations as files."""
