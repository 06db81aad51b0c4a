"""What implements the ports: Google Cloud's services, or one machine's files."""
