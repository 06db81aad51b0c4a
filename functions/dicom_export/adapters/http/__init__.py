"""Implement the ports of the command line with the HTTP API of an installation."""
