"""JSON as clients see it: what requests may say and how, filters of lists, schemas of messages."""
