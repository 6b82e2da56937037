"""Laid-out pages, whatever drew them: lines, columns, tables, furniture, watermarks, recognised text."""
