"""What every reader uses: elements, headings, decoding, containers, passwords."""
