"""The handlers of messages: one module per message, named after its action."""
