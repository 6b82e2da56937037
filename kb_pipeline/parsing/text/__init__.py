"""Plain text, Markdown, records, and what pandoc reads."""
