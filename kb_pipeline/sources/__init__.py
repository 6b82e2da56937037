"""Where raw documents come from: listings, notifications, folders that are mirrored."""
