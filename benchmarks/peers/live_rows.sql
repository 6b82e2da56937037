SELECT d.key, concat_ws(E'\n', nullif(array_to_string(c.section_path, ' > '), ''), c.content)
FROM kb.chunk c JOIN kb.document d USING (document_id)
