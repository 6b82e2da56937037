"""unstructured with its readers of PDF and of pictures, which the figures of reading stand beside."""
