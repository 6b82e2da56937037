-- The object of an artifact below clear/ may go before its row: the row still says what came of the input, so that a
-- rename or a copy costs nothing, and leads from a version to everything made of it.
ALTER TABLE kb.artifact ADD COLUMN IF NOT EXISTS expired_at timestamptz;
