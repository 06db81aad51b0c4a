"""The checks of an installation on Google Cloud: what it should be, what it is, and how to mend the difference."""
