"""Documents, sheets and slides of Office and OpenDocument."""
