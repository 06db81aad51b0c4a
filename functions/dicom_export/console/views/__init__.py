"""What the pages show, computed from values: no service is asked here."""
