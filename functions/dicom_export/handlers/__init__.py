"""The messages' handlers: one module per message, named after what it does."""
