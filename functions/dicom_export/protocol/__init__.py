"""The JSON of requests and answers, filters of lists, and schemas of messages."""
