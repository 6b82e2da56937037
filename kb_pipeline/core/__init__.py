"""What every room may use and what uses none of them: records, errors, identities, pure decisions."""
