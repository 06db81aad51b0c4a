"""An export of a folder on one machine: what the command line and the Python API share."""
