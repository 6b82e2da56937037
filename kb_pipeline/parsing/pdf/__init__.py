"""PDF and pictures, the formats that are pages already."""
