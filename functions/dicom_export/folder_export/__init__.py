"""Export a folder on one machine: code that the command line and the Python API share."""
