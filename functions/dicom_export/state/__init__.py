"""The state of operations and uploads: paths, and one repository per kind of object."""
