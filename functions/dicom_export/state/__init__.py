"""What the functions remember of operations and uploads: paths, and one repository per kind of object."""
