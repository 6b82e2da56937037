"""What is taken away: forgotten documents, and what nothing needs any more."""
