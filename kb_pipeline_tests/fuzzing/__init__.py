"""Fuzzing: real documents, damaged in ways that know their formats, through parse, chunk and mask in limited workers.
`python -m kb_pipeline_tests.fuzzing --minutes 30 --seed 1`.

What must hold for each: an artifact of every stage, or a reason of the closed list that a stage itself gives; all of it
within the limits; no text lost between elements and chunks; nothing to be found in what was masked.
"""
