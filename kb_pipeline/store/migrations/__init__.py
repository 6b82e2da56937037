"""The schema `kb`, one numbered file a change, applied in order and recorded."""
