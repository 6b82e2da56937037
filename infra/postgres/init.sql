-- Runs once, as superuser, when the data volume is empty. Passwords come from the environment of the container.
\set ON_ERROR_STOP on
\getenv owner_password KB_OWNER_PASSWORD
\getenv reader_password KB_READER_PASSWORD
\getenv dagster_password KB_DAGSTER_PASSWORD

SET password_encryption = 'scram-sha-256';
CREATE ROLE kb LOGIN PASSWORD :'owner_password';
CREATE ROLE kb_reader LOGIN PASSWORD :'reader_password';
CREATE ROLE dagster LOGIN PASSWORD :'dagster_password' CONNECTION LIMIT 100;
ALTER ROLE kb_reader SET default_transaction_read_only = on;
ALTER ROLE kb_reader SET statement_timeout = '60s';

CREATE DATABASE kb OWNER kb;
CREATE DATABASE dagster OWNER dagster;
REVOKE CONNECT, TEMPORARY ON DATABASE kb, dagster FROM PUBLIC;
GRANT CONNECT ON DATABASE kb TO kb_reader;

\connect kb
-- The owner could not: vector is no trusted extension.
CREATE EXTENSION vector;
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
