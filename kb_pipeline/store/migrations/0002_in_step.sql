-- What keeps sources in step: what a listing saw, what is settled, where artifacts come from, what was forgotten.

-- One row a source system: the listing compared last, when it was last found in step, deletes that wait for a word, and
-- when to try again after a run that a service failed.
CREATE TABLE IF NOT EXISTS kb.source (
    source_system   text PRIMARY KEY,
    listing_digest  text,
    listed_at       timestamptz,
    checked_at      timestamptz,
    access_key      text,
    brake           jsonb,
    attempts        integer NOT NULL DEFAULT 0,
    retry_at        timestamptz,
    removed_at      timestamptz
);
INSERT INTO kb.source (source_system)
    SELECT DISTINCT source_system FROM kb.document ON CONFLICT DO NOTHING;

-- A hint is a key to look at. A listing fills in what it saw, so that no request is needed for it; a notification
-- names the key alone. gone: the listing lacks it. retry_at: reading it failed, and when to try again.
ALTER TABLE kb.hint ADD COLUMN IF NOT EXISTS etag text;
ALTER TABLE kb.hint ADD COLUMN IF NOT EXISTS version_id text;
ALTER TABLE kb.hint ADD COLUMN IF NOT EXISTS size bigint;
ALTER TABLE kb.hint ADD COLUMN IF NOT EXISTS modified_at timestamptz;
ALTER TABLE kb.hint ADD COLUMN IF NOT EXISTS gone boolean NOT NULL DEFAULT false;
ALTER TABLE kb.hint ADD COLUMN IF NOT EXISTS attempts integer NOT NULL DEFAULT 0;
ALTER TABLE kb.hint ADD COLUMN IF NOT EXISTS retry_at timestamptz;

-- settled_key: every stage has come to an end for the document's present content under these settings. Whatever
-- changes the content, or loses a result, sets it to null; a change of settings makes another key.
ALTER TABLE kb.document ADD COLUMN IF NOT EXISTS settled_key text;
ALTER TABLE kb.document ADD COLUMN IF NOT EXISTS attempts integer NOT NULL DEFAULT 0;
ALTER TABLE kb.document ADD COLUMN IF NOT EXISTS retry_at timestamptz;
CREATE INDEX IF NOT EXISTS document_by_content ON kb.document (content_hash) WHERE content_hash IS NOT NULL;

-- What an artifact was made from: with output_hash it leads from a version to everything made of it.
ALTER TABLE kb.artifact ADD COLUMN IF NOT EXISTS input_hash text;
UPDATE kb.artifact a SET input_hash = s.input_hash
    FROM kb.stage_state s WHERE s.fingerprint = a.fingerprint AND s.stage = a.stage AND a.input_hash IS NULL;
CREATE INDEX IF NOT EXISTS artifact_by_input ON kb.artifact (stage, input_hash);

-- A text's vector may lie in several artifacts: collecting one must not lose it.
DO $$
BEGIN
    IF (SELECT count(*) FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY(i.indkey)
        WHERE i.indrelid = 'kb.vector_ref'::regclass AND i.indisprimary) = 2 THEN
        ALTER TABLE kb.vector_ref DROP CONSTRAINT vector_ref_pkey;
        ALTER TABLE kb.vector_ref ADD PRIMARY KEY (model_key, text_hash, fingerprint);
    END IF;
END $$;
