"""Chaos: a real sync of changing documents whose processes, database and embedding service are killed at random
instants, while a reader looks on. `python -m kb_pipeline_tests.chaos --kills 200 --seed 1`.

What the reader may see is known beforehand: the rows of every version that a document ever had, from the stages' own
functions; what the tables must hold at the end is what a fresh load of the same folders makes.
"""
