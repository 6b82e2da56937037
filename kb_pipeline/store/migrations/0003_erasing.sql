-- Erasing a document starts from the bytes it had: what was parsed from them under any media type.
CREATE INDEX IF NOT EXISTS artifact_by_content ON kb.artifact (split_part(input_hash, ':', 1)) WHERE stage = 'parse';
