-- Lets kb_reader read kb.knowledge_chunks: run as kb after the first sync, and again when another space becomes active.
-- The view runs with the rights of whoever asks (security_invoker), so the columns it reads are granted, and no others:
-- not the raw key, not the vectors, nothing of the ledger.
\set ON_ERROR_STOP on
BEGIN;

REVOKE ALL ON ALL TABLES IN SCHEMA kb FROM kb_reader;
GRANT USAGE ON SCHEMA kb TO kb_reader;
GRANT SELECT ON kb.knowledge_chunks TO kb_reader;
GRANT SELECT (chunk_id, document_id, ordinal, content, page_start, page_end, section_path, language)
    ON kb.chunk TO kb_reader;
GRANT SELECT (document_id, source_system, display_name, media_type, modified_at, access_groups, deleted_at)
    ON kb.document TO kb_reader;

DO $$
DECLARE
    active text;
BEGIN
    SELECT table_name INTO STRICT active FROM kb.space WHERE status = 'active';
    EXECUTE format('GRANT SELECT (chunk_id) ON kb.%I TO kb_reader', active);
END
$$;

COMMIT;
