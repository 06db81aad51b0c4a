"""The pages: each asks the service, makes a view of the answer, and renders it."""
