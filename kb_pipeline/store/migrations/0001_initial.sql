-- The whole data model. Later issues fill these tables; they do not reshape them.
-- Migrations run in order, each in one transaction, recorded in kb.migration; each is safe to run twice.

CREATE EXTENSION IF NOT EXISTS vector;
CREATE SCHEMA IF NOT EXISTS kb;

CREATE TABLE IF NOT EXISTS kb.migration (
    name        text PRIMARY KEY,
    applied_at  timestamptz NOT NULL DEFAULT now()
);

-- Access groups and attributes live here and only here: changing them touches no index of vectors.
-- display_name is the key, masked under the policy named by display_policy: what people are shown.
CREATE TABLE IF NOT EXISTS kb.document (
    document_id     text PRIMARY KEY,
    source_system   text NOT NULL,
    key             text NOT NULL,
    etag            text,
    version_id      text,
    size            bigint,
    modified_at     timestamptz,
    media_type      text,
    content_hash    text,
    display_name    text,
    display_policy  text,
    access_groups   text[] NOT NULL DEFAULT '{}',
    attributes      jsonb NOT NULL DEFAULT '{}',
    first_seen_at   timestamptz NOT NULL DEFAULT now(),
    deleted_at      timestamptz,
    forgotten_at    timestamptz,
    UNIQUE (source_system, key)
);
CREATE INDEX IF NOT EXISTS document_by_source ON kb.document (source_system, document_id);

CREATE TABLE IF NOT EXISTS kb.document_version (
    document_id   text NOT NULL REFERENCES kb.document ON DELETE CASCADE,
    content_hash  text NOT NULL,
    seen_at       timestamptz NOT NULL DEFAULT now(),
    published_at  timestamptz,
    withdrawn_at  timestamptz,
    PRIMARY KEY (document_id, content_hash, seen_at)
);

CREATE TABLE IF NOT EXISTS kb.artifact (
    fingerprint  text PRIMARY KEY,
    stage        text NOT NULL,
    uri          text NOT NULL,
    size         bigint NOT NULL,
    sha256       text NOT NULL,
    output_hash  text NOT NULL,
    rows         integer NOT NULL,
    stats        jsonb NOT NULL DEFAULT '{}',
    created_at   timestamptz NOT NULL DEFAULT now()
);

-- stage_key: hash of the stage's name, version and settings. Current means: same input_hash, same stage_key.
CREATE TABLE IF NOT EXISTS kb.stage_state (
    document_id    text NOT NULL REFERENCES kb.document ON DELETE CASCADE,
    stage          text NOT NULL,
    variant        text NOT NULL DEFAULT '',
    stage_key      text NOT NULL,
    input_hash     text,
    fingerprint    text,
    output_hash    text,
    rows           integer,
    status         text NOT NULL CHECK (status IN ('ok', 'quarantined', 'failed', 'retry')),
    attempts       integer NOT NULL DEFAULT 0,
    error_class    text,
    error_message  text,
    duration_ms    integer,
    run_id         text,
    updated_at     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (document_id, stage, variant)
);
CREATE INDEX IF NOT EXISTS stage_state_not_ok ON kb.stage_state (stage, updated_at) WHERE status <> 'ok';
CREATE INDEX IF NOT EXISTS stage_state_by_fingerprint ON kb.stage_state (fingerprint);

-- Where the vector of a text already embedded lies: row number in the embedding artifact.
CREATE TABLE IF NOT EXISTS kb.vector_ref (
    model_key    text NOT NULL,
    text_hash    text NOT NULL,
    fingerprint  text NOT NULL REFERENCES kb.artifact ON DELETE CASCADE,
    row          integer NOT NULL,
    PRIMARY KEY (model_key, text_hash)
);
CREATE INDEX IF NOT EXISTS vector_ref_by_fingerprint ON kb.vector_ref (fingerprint);

CREATE TABLE IF NOT EXISTS kb.hint (
    source_system  text NOT NULL,
    key            text NOT NULL,
    received_at    timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (source_system, key)
);

-- token only grows: a run that lost the lease holds an old token and can commit nothing.
CREATE TABLE IF NOT EXISTS kb.source_lease (
    source_system  text PRIMARY KEY,
    token          bigint NOT NULL DEFAULT 0,
    holder         text,
    backend_pid    integer,
    acquired_at    timestamptz,
    heartbeat_at   timestamptz,
    expires_at     timestamptz
);

CREATE TABLE IF NOT EXISTS kb.space (
    space_id          text PRIMARY KEY,
    model             text NOT NULL,
    revision          text NOT NULL DEFAULT '',
    instruction       text NOT NULL DEFAULT '',
    native_dimension  integer NOT NULL,
    dimension         integer NOT NULL,
    element_type      text NOT NULL DEFAULT 'halfvec',
    table_name        text NOT NULL UNIQUE,
    status            text NOT NULL CHECK (status IN ('building', 'active', 'standby', 'retired')),
    created_at        timestamptz NOT NULL DEFAULT now(),
    activated_at      timestamptz
);
CREATE UNIQUE INDEX IF NOT EXISTS one_active_space ON kb.space (status) WHERE status = 'active';

-- Masked text only, shared by all spaces.
CREATE TABLE IF NOT EXISTS kb.chunk (
    chunk_id      text PRIMARY KEY,
    document_id   text NOT NULL REFERENCES kb.document,
    ordinal       integer NOT NULL,
    content       text NOT NULL,
    lexemes       tsvector NOT NULL,
    page_start    integer,
    page_end      integer,
    boxes         jsonb NOT NULL DEFAULT '[]',
    section_path  text[] NOT NULL DEFAULT '{}',
    language      text NOT NULL DEFAULT 'und',
    text_hash     text NOT NULL
);
CREATE INDEX IF NOT EXISTS chunk_by_document ON kb.chunk (document_id);
CREATE INDEX IF NOT EXISTS chunk_lexemes ON kb.chunk USING gin (lexemes);
