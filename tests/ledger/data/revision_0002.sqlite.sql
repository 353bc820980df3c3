BEGIN TRANSACTION;
CREATE TABLE cf_alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT cf_alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "cf_alembic_version" VALUES('0002');
CREATE TABLE cf_dead_letter (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	stream_id INTEGER NOT NULL, 
	"key" TEXT NOT NULL, 
	code TEXT NOT NULL, 
	reason TEXT NOT NULL, 
	attempts INTEGER NOT NULL, 
	first_execution_id INTEGER NOT NULL, 
	last_execution_id INTEGER NOT NULL, 
	recorded DATETIME NOT NULL, 
	CONSTRAINT fk_cf_dead_letter_stream_id FOREIGN KEY(stream_id) REFERENCES cf_stream (id), 
	CONSTRAINT uq_cf_dead_letter_stream_id_key UNIQUE (stream_id, "key")
);
INSERT INTO "cf_dead_letter" VALUES(1,1,'[3]','invalid','it''s no; e-mail
address',3,1,3,'2026-03-01 12:30:00.000000');
CREATE TABLE cf_intent (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	token TEXT NOT NULL, 
	stream_id INTEGER NOT NULL, 
	execution_id BIGINT NOT NULL, 
	epoch BIGINT NOT NULL, 
	attempt INTEGER NOT NULL, 
	parts INTEGER NOT NULL, 
	recoveries INTEGER NOT NULL, 
	returned BOOLEAN NOT NULL, 
	boot_id TEXT, 
	boot_time FLOAT, 
	recorded DATETIME NOT NULL, 
	items TEXT NOT NULL, 
	CONSTRAINT fk_cf_intent_stream_id FOREIGN KEY(stream_id) REFERENCES cf_stream (id), 
	CONSTRAINT uq_cf_intent_token UNIQUE (token)
);
INSERT INTO "cf_intent" VALUES(1,'201c9b9e5a9ad58656f40524b0f9c3a9',1,3,1,1,0,0,0,'boot',100.0,'2026-03-01 12:30:00.000000','[["[6]","upsert",2,"fp1:sent","cf1-key","{\"name\":\"Zoë\"}","r6","\"v6\""]]');
CREATE TABLE cf_item_state (
	stream_id INTEGER NOT NULL, 
	"key" TEXT NOT NULL, 
	status TEXT NOT NULL, 
	generation INTEGER NOT NULL, 
	fingerprint TEXT, 
	pending TEXT, 
	remote_id TEXT, 
	remote_version TEXT, 
	execution_id INTEGER NOT NULL, 
	CONSTRAINT pk_cf_item_state PRIMARY KEY (stream_id, "key"), 
	CONSTRAINT ck_cf_item_state_status CHECK (status = 'written' OR status = 'deleted' OR status = 'rejected' OR status = 'deferred' OR status = 'in_doubt')
)
 WITHOUT ROWID

;
INSERT INTO "cf_item_state" VALUES(1,'["Zoë ''♥''",5]','in_doubt',3,'fp1:old','fp1:tried','r5',NULL,3);
INSERT INTO "cf_item_state" VALUES(1,'[1]','written',3,'fp1:3',NULL,'r1','"v1"',3);
INSERT INTO "cf_item_state" VALUES(1,'[2]','deleted',3,NULL,NULL,NULL,NULL,3);
INSERT INTO "cf_item_state" VALUES(1,'[3]','rejected',3,NULL,'fp1:tried',NULL,NULL,3);
INSERT INTO "cf_item_state" VALUES(1,'[4]','deferred',3,NULL,'fp1:tried',NULL,NULL,3);
CREATE TABLE cf_job_execution (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	integration TEXT NOT NULL, 
	job TEXT NOT NULL, 
	status TEXT NOT NULL, 
	exit_code TEXT NOT NULL, 
	exit_description TEXT NOT NULL, 
	failures TEXT NOT NULL, 
	parameters TEXT NOT NULL, 
	started DATETIME NOT NULL, 
	ended DATETIME
, epoch BIGINT);
INSERT INTO "cf_job_execution" VALUES(1,'acme','customers_export','COMPLETED','COMPLETED','','["the remote went away"]','{"ids":[[1,"a,b"]]}','2026-03-01 12:30:00.000000','2026-03-01 12:30:02.000000',NULL);
INSERT INTO "cf_job_execution" VALUES(2,'acme','customers_export','FAILED','FAILED','','["the remote went away"]','{"ids":[[1,"a,b"]]}','2026-03-01 12:30:00.000000','2026-03-01 12:30:02.000000',NULL);
INSERT INTO "cf_job_execution" VALUES(3,'acme','customers_export','STARTED','UNKNOWN','','[]','{"ids":[[1,"a,b"]]}','2026-03-01 12:30:00.000000',NULL,NULL);
CREATE TABLE cf_lease (
	integration TEXT NOT NULL, 
	job TEXT NOT NULL, 
	epoch BIGINT NOT NULL, 
	beat BIGINT NOT NULL, 
	owner TEXT, 
	host TEXT NOT NULL, 
	pid BIGINT NOT NULL, 
	since DATETIME NOT NULL, 
	execution_id BIGINT, 
	stop_requested BOOLEAN NOT NULL, 
	CONSTRAINT pk_cf_lease PRIMARY KEY (integration, job)
);
INSERT INTO "cf_lease" VALUES('acme','customers_export',1,0,'dead','host',1,'2026-03-01 12:30:00.000000',NULL,0);
CREATE TABLE cf_ledger (
	id TEXT NOT NULL, 
	created DATETIME NOT NULL, 
	CONSTRAINT pk_cf_ledger PRIMARY KEY (id)
);
INSERT INTO "cf_ledger" VALUES('709b707dfd346515476aaab8658e26a5','2026-03-01 12:30:00.000000');
CREATE TABLE cf_request (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	integration TEXT NOT NULL, 
	job TEXT NOT NULL, 
	body TEXT NOT NULL, 
	digest TEXT NOT NULL, 
	requested DATETIME NOT NULL, 
	epoch BIGINT
);
INSERT INTO "cf_request" VALUES(1,'acme','customers_export','{"ids":[7],"steps":[],"parameters":{}}','1acb46f69aa57978d66b96923b7318b2fb34cb7c61bf552894753725bad82750','2026-03-01 12:30:00.000000',NULL);
CREATE TABLE cf_step_execution (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	execution_id INTEGER NOT NULL, 
	stream_id INTEGER NOT NULL, 
	step TEXT NOT NULL, 
	status TEXT NOT NULL, 
	exit_code TEXT NOT NULL, 
	exit_description TEXT NOT NULL, 
	errors TEXT NOT NULL, 
	counts TEXT NOT NULL, 
	total INTEGER, 
	in_summary BOOLEAN NOT NULL, 
	checkpoint TEXT, 
	started DATETIME NOT NULL, 
	ended DATETIME, request TEXT, 
	CONSTRAINT fk_cf_step_execution_execution_id FOREIGN KEY(execution_id) REFERENCES cf_job_execution (id), 
	CONSTRAINT fk_cf_step_execution_stream_id FOREIGN KEY(stream_id) REFERENCES cf_stream (id)
);
INSERT INTO "cf_step_execution" VALUES(1,1,1,'customers','COMPLETED','COMPLETED','','[]','{"read":5}',5,1,'[1]','2026-03-01 12:30:00.000000','2026-03-01 12:30:02.000000',NULL);
INSERT INTO "cf_step_execution" VALUES(2,2,1,'customers','FAILED','FAILED','','[]','{"read":5}',5,1,'[2]','2026-03-01 12:30:00.000000','2026-03-01 12:30:02.000000',NULL);
INSERT INTO "cf_step_execution" VALUES(3,3,1,'customers','STARTED','UNKNOWN','','[]','{"read":5}',5,1,'[3]','2026-03-01 12:30:00.000000',NULL,NULL);
CREATE TABLE cf_stream (
	id INTEGER NOT NULL, 
	integration TEXT NOT NULL, 
	job TEXT NOT NULL, 
	step TEXT NOT NULL, 
	CONSTRAINT pk_cf_stream PRIMARY KEY (id), 
	CONSTRAINT uq_cf_stream_integration_job_step UNIQUE (integration, job, step)
);
INSERT INTO "cf_stream" VALUES(1,'acme','customers_export','customers');
CREATE INDEX ix_cf_step_execution_execution_id ON cf_step_execution (execution_id);
CREATE INDEX ix_cf_step_execution_stream_id ON cf_step_execution (stream_id);
CREATE INDEX ix_cf_item_state_open ON cf_item_state (status, stream_id, "key") WHERE status <> 'written' AND status <> 'deleted';
CREATE INDEX ix_cf_intent_stream_id ON cf_intent (stream_id);
CREATE UNIQUE INDEX uq_cf_request_waiting ON cf_request (integration, job, digest) WHERE epoch IS NULL;
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('cf_job_execution',3);
INSERT INTO "sqlite_sequence" VALUES('cf_step_execution',3);
INSERT INTO "sqlite_sequence" VALUES('cf_dead_letter',3);
INSERT INTO "sqlite_sequence" VALUES('cf_intent',1);
INSERT INTO "sqlite_sequence" VALUES('cf_request',1);
COMMIT;
