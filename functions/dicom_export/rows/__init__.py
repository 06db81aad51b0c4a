"""The rows of a table: their layout, columns and descriptions.

Some columns are not data elements of an instance but describe its object.
"""
