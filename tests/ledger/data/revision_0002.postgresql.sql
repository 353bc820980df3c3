CREATE TABLE cf_alembic_version (
    version_num character varying(32) NOT NULL
);
CREATE TABLE cf_dead_letter (
    id bigint NOT NULL,
    stream_id integer NOT NULL,
    key text NOT NULL,
    code text NOT NULL,
    reason text NOT NULL,
    attempts integer NOT NULL,
    first_execution_id bigint NOT NULL,
    last_execution_id bigint NOT NULL,
    recorded timestamp with time zone NOT NULL
);
CREATE SEQUENCE cf_dead_letter_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE cf_dead_letter_id_seq OWNED BY cf_dead_letter.id;
CREATE TABLE cf_intent (
    id bigint NOT NULL,
    token text NOT NULL,
    stream_id integer NOT NULL,
    execution_id bigint NOT NULL,
    epoch bigint NOT NULL,
    attempt integer NOT NULL,
    parts integer NOT NULL,
    recoveries integer NOT NULL,
    returned boolean NOT NULL,
    boot_id text,
    boot_time double precision,
    recorded timestamp with time zone NOT NULL,
    items text NOT NULL
);
CREATE SEQUENCE cf_intent_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE cf_intent_id_seq OWNED BY cf_intent.id;
CREATE TABLE cf_item_state (
    stream_id integer NOT NULL,
    key text NOT NULL,
    status text NOT NULL,
    generation integer NOT NULL,
    fingerprint text,
    pending text,
    remote_id text,
    remote_version text,
    execution_id bigint NOT NULL,
    CONSTRAINT ck_cf_item_state_status CHECK (((status = 'written'::text) OR (status = 'deleted'::text) OR (status = 'rejected'::text) OR (status = 'deferred'::text) OR (status = 'in_doubt'::text)))
);
CREATE TABLE cf_job_execution (
    id bigint NOT NULL,
    integration text NOT NULL,
    job text NOT NULL,
    status text NOT NULL,
    exit_code text NOT NULL,
    exit_description text NOT NULL,
    failures text NOT NULL,
    parameters text NOT NULL,
    started timestamp with time zone NOT NULL,
    ended timestamp with time zone,
    epoch bigint
);
CREATE SEQUENCE cf_job_execution_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE cf_job_execution_id_seq OWNED BY cf_job_execution.id;
CREATE TABLE cf_lease (
    integration text NOT NULL,
    job text NOT NULL,
    epoch bigint NOT NULL,
    beat bigint NOT NULL,
    owner text,
    host text NOT NULL,
    pid bigint NOT NULL,
    since timestamp with time zone NOT NULL,
    execution_id bigint,
    stop_requested boolean NOT NULL
);
CREATE TABLE cf_ledger (
    id text NOT NULL,
    created timestamp with time zone NOT NULL
);
CREATE TABLE cf_request (
    id bigint NOT NULL,
    integration text NOT NULL,
    job text NOT NULL,
    body text NOT NULL,
    digest text NOT NULL,
    requested timestamp with time zone NOT NULL,
    epoch bigint
);
CREATE SEQUENCE cf_request_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE cf_request_id_seq OWNED BY cf_request.id;
CREATE TABLE cf_step_execution (
    id bigint NOT NULL,
    execution_id bigint NOT NULL,
    stream_id integer NOT NULL,
    step text NOT NULL,
    status text NOT NULL,
    exit_code text NOT NULL,
    exit_description text NOT NULL,
    errors text NOT NULL,
    counts text NOT NULL,
    total bigint,
    in_summary boolean NOT NULL,
    checkpoint text,
    started timestamp with time zone NOT NULL,
    ended timestamp with time zone,
    request text
);
CREATE SEQUENCE cf_step_execution_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE cf_step_execution_id_seq OWNED BY cf_step_execution.id;
CREATE TABLE cf_stream (
    id integer NOT NULL,
    integration text NOT NULL,
    job text NOT NULL,
    step text NOT NULL
);
CREATE SEQUENCE cf_stream_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE cf_stream_id_seq OWNED BY cf_stream.id;
ALTER TABLE ONLY cf_dead_letter ALTER COLUMN id SET DEFAULT nextval('cf_dead_letter_id_seq'::regclass);
ALTER TABLE ONLY cf_intent ALTER COLUMN id SET DEFAULT nextval('cf_intent_id_seq'::regclass);
ALTER TABLE ONLY cf_job_execution ALTER COLUMN id SET DEFAULT nextval('cf_job_execution_id_seq'::regclass);
ALTER TABLE ONLY cf_request ALTER COLUMN id SET DEFAULT nextval('cf_request_id_seq'::regclass);
ALTER TABLE ONLY cf_step_execution ALTER COLUMN id SET DEFAULT nextval('cf_step_execution_id_seq'::regclass);
ALTER TABLE ONLY cf_stream ALTER COLUMN id SET DEFAULT nextval('cf_stream_id_seq'::regclass);
INSERT INTO cf_alembic_version VALUES ('0002');
INSERT INTO cf_dead_letter VALUES (1, 1, '[3]', 'invalid', 'it''s no; e-mail
address', 3, 1, 3, '2026-03-01 12:30:00+00');
INSERT INTO cf_intent VALUES (1, 'da361e5516d9c7b63e98d0ae089eaeef', 1, 3, 1, 1, 0, 0, false, 'boot', 100, '2026-03-01 12:30:00+00', '[["[6]","upsert",2,"fp1:sent","cf1-key","{\"name\":\"Zoë\"}","r6","\"v6\""]]');
INSERT INTO cf_item_state VALUES (1, '[1]', 'written', 3, 'fp1:3', NULL, 'r1', '"v1"', 3);
INSERT INTO cf_item_state VALUES (1, '[2]', 'deleted', 3, NULL, NULL, NULL, NULL, 3);
INSERT INTO cf_item_state VALUES (1, '[3]', 'rejected', 3, NULL, 'fp1:tried', NULL, NULL, 3);
INSERT INTO cf_item_state VALUES (1, '[4]', 'deferred', 3, NULL, 'fp1:tried', NULL, NULL, 3);
INSERT INTO cf_item_state VALUES (1, '["Zoë ''♥''",5]', 'in_doubt', 3, 'fp1:old', 'fp1:tried', 'r5', NULL, 3);
INSERT INTO cf_job_execution VALUES (1, 'acme', 'customers_export', 'COMPLETED', 'COMPLETED', '', '["the remote went away"]', '{"ids":[[1,"a,b"]]}', '2026-03-01 12:30:00+00', '2026-03-01 12:30:02+00', NULL);
INSERT INTO cf_job_execution VALUES (2, 'acme', 'customers_export', 'FAILED', 'FAILED', '', '["the remote went away"]', '{"ids":[[1,"a,b"]]}', '2026-03-01 12:30:00+00', '2026-03-01 12:30:02+00', NULL);
INSERT INTO cf_job_execution VALUES (3, 'acme', 'customers_export', 'STARTED', 'UNKNOWN', '', '[]', '{"ids":[[1,"a,b"]]}', '2026-03-01 12:30:00+00', NULL, NULL);
INSERT INTO cf_lease VALUES ('acme', 'customers_export', 1, 0, 'dead', 'host', 1, '2026-03-01 12:30:00+00', NULL, false);
INSERT INTO cf_ledger VALUES ('f0620b53e044762c9b9fff7abaeed924', '2026-03-01 12:30:00+00');
INSERT INTO cf_request VALUES (1, 'acme', 'customers_export', '{"ids":[7],"steps":[],"parameters":{}}', '1acb46f69aa57978d66b96923b7318b2fb34cb7c61bf552894753725bad82750', '2026-03-01 12:30:00+00', NULL);
INSERT INTO cf_step_execution VALUES (1, 1, 1, 'customers', 'COMPLETED', 'COMPLETED', '', '[]', '{"read":5}', 5, true, '[1]', '2026-03-01 12:30:00+00', '2026-03-01 12:30:02+00', NULL);
INSERT INTO cf_step_execution VALUES (2, 2, 1, 'customers', 'FAILED', 'FAILED', '', '[]', '{"read":5}', 5, true, '[2]', '2026-03-01 12:30:00+00', '2026-03-01 12:30:02+00', NULL);
INSERT INTO cf_step_execution VALUES (3, 3, 1, 'customers', 'STARTED', 'UNKNOWN', '', '[]', '{"read":5}', 5, true, '[3]', '2026-03-01 12:30:00+00', NULL, NULL);
INSERT INTO cf_stream VALUES (1, 'acme', 'customers_export', 'customers');
SELECT pg_catalog.setval('cf_dead_letter_id_seq', 3, true);
SELECT pg_catalog.setval('cf_intent_id_seq', 1, true);
SELECT pg_catalog.setval('cf_job_execution_id_seq', 3, true);
SELECT pg_catalog.setval('cf_request_id_seq', 1, true);
SELECT pg_catalog.setval('cf_step_execution_id_seq', 3, true);
SELECT pg_catalog.setval('cf_stream_id_seq', 3, true);
ALTER TABLE ONLY cf_alembic_version
    ADD CONSTRAINT cf_alembic_version_pkc PRIMARY KEY (version_num);
ALTER TABLE ONLY cf_dead_letter
    ADD CONSTRAINT pk_cf_dead_letter PRIMARY KEY (id);
ALTER TABLE ONLY cf_intent
    ADD CONSTRAINT pk_cf_intent PRIMARY KEY (id);
ALTER TABLE ONLY cf_item_state
    ADD CONSTRAINT pk_cf_item_state PRIMARY KEY (stream_id, key);
ALTER TABLE ONLY cf_job_execution
    ADD CONSTRAINT pk_cf_job_execution PRIMARY KEY (id);
ALTER TABLE ONLY cf_lease
    ADD CONSTRAINT pk_cf_lease PRIMARY KEY (integration, job);
ALTER TABLE ONLY cf_ledger
    ADD CONSTRAINT pk_cf_ledger PRIMARY KEY (id);
ALTER TABLE ONLY cf_request
    ADD CONSTRAINT pk_cf_request PRIMARY KEY (id);
ALTER TABLE ONLY cf_step_execution
    ADD CONSTRAINT pk_cf_step_execution PRIMARY KEY (id);
ALTER TABLE ONLY cf_stream
    ADD CONSTRAINT pk_cf_stream PRIMARY KEY (id);
ALTER TABLE ONLY cf_dead_letter
    ADD CONSTRAINT uq_cf_dead_letter_stream_id_key UNIQUE (stream_id, key);
ALTER TABLE ONLY cf_intent
    ADD CONSTRAINT uq_cf_intent_token UNIQUE (token);
ALTER TABLE ONLY cf_stream
    ADD CONSTRAINT uq_cf_stream_integration_job_step UNIQUE (integration, job, step);
CREATE INDEX ix_cf_intent_stream_id ON cf_intent USING btree (stream_id);
CREATE INDEX ix_cf_item_state_open ON cf_item_state USING btree (status, stream_id, key) WHERE ((status <> 'written'::text) AND (status <> 'deleted'::text));
CREATE INDEX ix_cf_step_execution_execution_id ON cf_step_execution USING btree (execution_id);
CREATE INDEX ix_cf_step_execution_stream_id ON cf_step_execution USING btree (stream_id);
CREATE UNIQUE INDEX uq_cf_request_waiting ON cf_request USING btree (integration, job, digest) WHERE (epoch IS NULL);
ALTER TABLE ONLY cf_dead_letter
    ADD CONSTRAINT fk_cf_dead_letter_stream_id FOREIGN KEY (stream_id) REFERENCES cf_stream(id);
ALTER TABLE ONLY cf_intent
    ADD CONSTRAINT fk_cf_intent_stream_id FOREIGN KEY (stream_id) REFERENCES cf_stream(id);
ALTER TABLE ONLY cf_step_execution
    ADD CONSTRAINT fk_cf_step_execution_execution_id FOREIGN KEY (execution_id) REFERENCES cf_job_execution(id);
ALTER TABLE ONLY cf_step_execution
    ADD CONSTRAINT fk_cf_step_execution_stream_id FOREIGN KEY (stream_id) REFERENCES cf_stream(id);
