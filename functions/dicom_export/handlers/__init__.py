"""What each message and each request does, in terms of the ports."""
