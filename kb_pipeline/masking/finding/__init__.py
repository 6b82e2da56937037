"""Where personal data stands in a text: patterns, check digits, words that announce."""
