"""What readers query: chunks, vectors of each space, words."""
