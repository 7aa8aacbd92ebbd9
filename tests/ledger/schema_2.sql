BEGIN TRANSACTION;
CREATE TABLE attempt (
	message_id VARCHAR NOT NULL, 
	n INTEGER NOT NULL, 
	channel VARCHAR NOT NULL, 
	opened_at DATETIME NOT NULL, 
	closed_at DATETIME, 
	outcome VARCHAR, 
	provider_id VARCHAR DEFAULT '' NOT NULL, 
	detail VARCHAR DEFAULT '' NOT NULL, 
	serial INTEGER, 
	PRIMARY KEY (message_id, n), 
	CONSTRAINT outcome_is_known CHECK (outcome IN ('accepted', 'rejected', 'not_sent', 'unknown')), 
	FOREIGN KEY(message_id) REFERENCES message (message_id)
);
INSERT INTO "attempt" VALUES('3afe2774bed8f6b97f859c91a9d60ab6',1,'smtp','2026-03-05 02:30:00.000000','2026-03-05 02:30:00.000000','accepted','4F2A','250',1);
INSERT INTO "attempt" VALUES('9b0dd9355c69792072e8591a599f74c0',1,'smtp','2026-03-05 02:30:00.000000','2026-03-05 02:30:00.000000','rejected','','550 5.1.1',1);
INSERT INTO "attempt" VALUES('dca46e0bbeb0783a0895c3724b039a19',1,'smtp','2026-03-05 02:30:00.000000','2026-03-05 02:30:00.000000','unknown','','',1);
INSERT INTO "attempt" VALUES('3ba37ce77d3b2a896289a9f0a0cb7d58',1,'smtp','2026-03-05 02:30:00.000000','2026-03-05 02:30:00.000000','not_sent','','451',1);
INSERT INTO "attempt" VALUES('94fcf67738715fb6d1b7457c14ef6f2c',1,'smtp','2026-03-05 02:30:00.000000',NULL,NULL,'','',NULL);
CREATE TABLE event (
	event_id INTEGER NOT NULL, 
	at DATETIME NOT NULL, 
	plan_id VARCHAR NOT NULL, 
	message_id VARCHAR DEFAULT '' NOT NULL, 
	kind VARCHAR NOT NULL, 
	who VARCHAR DEFAULT '' NOT NULL, 
	why VARCHAR DEFAULT '' NOT NULL, 
	PRIMARY KEY (event_id)
);
CREATE TABLE message (
	message_id VARCHAR NOT NULL, 
	plan_id VARCHAR NOT NULL, 
	batch INTEGER NOT NULL, 
	customer_id VARCHAR NOT NULL, 
	arm VARCHAR NOT NULL, 
	step VARCHAR NOT NULL, 
	channel VARCHAR NOT NULL, 
	address VARCHAR NOT NULL, 
	variables TEXT NOT NULL, 
	due_at DATETIME NOT NULL, 
	not_before DATETIME NOT NULL, 
	expires_at DATETIME NOT NULL, 
	zone VARCHAR NOT NULL, 
	state VARCHAR DEFAULT 'due' NOT NULL, 
	reason VARCHAR DEFAULT '' NOT NULL, 
	attempts INTEGER DEFAULT '0' NOT NULL, 
	deferrals INTEGER DEFAULT '0' NOT NULL, 
	settled_at DATETIME, 
	PRIMARY KEY (message_id), 
	CONSTRAINT control_gets_nothing CHECK (arm <> 'control'), 
	CONSTRAINT state_is_known CHECK (state IN ('due', 'held', 'claimed', 'accepted', 'rejected', 'unknown', 'suppressed', 'expired')), 
	CONSTRAINT one_message_per_recipient_and_step UNIQUE (plan_id, step, customer_id, channel), 
	FOREIGN KEY(plan_id) REFERENCES "plan" (plan_id)
);
INSERT INTO "message" VALUES('3afe2774bed8f6b97f859c91a9d60ab6','plan-winback',0,'C000000','treatment','message','email','c0@mail.example','{"name":"李伟"}','2026-03-05 02:30:00.000000','2026-03-05 02:30:00.000000','2026-03-08 02:30:00.000000','Asia/Shanghai','accepted','taken: 250',1,0,'2026-03-05 02:30:00.000000');
INSERT INTO "message" VALUES('9b0dd9355c69792072e8591a599f74c0','plan-winback',0,'C000001','treatment','message','email','c1@mail.example','{"name":"李伟"}','2026-03-05 02:30:00.000000','2026-03-05 02:30:00.000000','2026-03-08 02:30:00.000000','Asia/Shanghai','rejected','refused: 550 5.1.1',1,0,'2026-03-05 02:30:00.000000');
INSERT INTO "message" VALUES('dca46e0bbeb0783a0895c3724b039a19','plan-winback',0,'C000002','treatment','message','email','c2@mail.example','{"name":"李伟"}','2026-03-05 02:30:00.000000','2026-03-05 02:30:00.000000','2026-03-08 02:30:00.000000','Asia/Shanghai','unknown','answer lost',1,0,'2026-03-05 02:30:00.000000');
INSERT INTO "message" VALUES('3ba37ce77d3b2a896289a9f0a0cb7d58','plan-winback',0,'C000003','treatment','message','email','c3@mail.example','{"name":"李伟"}','2026-03-05 02:30:00.000000','2026-03-05 02:31:00.000000','2026-03-08 02:30:00.000000','Asia/Shanghai','due','put off: 451',1,1,NULL);
INSERT INTO "message" VALUES('94fcf67738715fb6d1b7457c14ef6f2c','plan-winback',0,'C000004','treatment','message','email','c4@mail.example','{"name":"李伟"}','2026-03-05 02:30:00.000000','2026-03-05 02:30:00.000000','2026-03-08 02:30:00.000000','Asia/Shanghai','claimed','',1,0,NULL);
INSERT INTO "message" VALUES('961bf02733bf31e1f9ab744669453b0a','plan-winback',0,'C000005','treatment','message','email','c5@mail.example','{"name":"李伟"}','2026-03-05 02:30:00.000000','2026-03-05 02:30:00.000000','2026-03-08 02:30:00.000000','Asia/Shanghai','claimed','',0,0,NULL);
INSERT INTO "message" VALUES('75dea82dc4f32a60e91e1319e5b9cde2','plan-winback',0,'C000006','treatment','message','email','c6@mail.example','{"name":"李伟"}','2026-03-05 02:30:00.000000','2026-03-05 02:30:00.000000','2026-03-08 02:30:00.000000','Asia/Shanghai','due','',0,0,NULL);
INSERT INTO "message" VALUES('b8f2d692bf85958289983f40f3ed6a04','plan-winback',0,'C000007','treatment','message','email','c7@mail.example','{"name":"李伟"}','2026-03-05 02:30:00.000000','2026-03-05 02:30:00.000000','2026-03-08 02:30:00.000000','Asia/Shanghai','due','',0,0,NULL);
CREATE TABLE meta (
	"key" VARCHAR NOT NULL, 
	value VARCHAR NOT NULL, 
	PRIMARY KEY ("key")
);
INSERT INTO "meta" VALUES('schema','2');
INSERT INTO "meta" VALUES('identity','d510a6960a2c45b1942c69975f48ff55');
INSERT INTO "meta" VALUES('place','0 /elsewhere');
CREATE TABLE "plan" (
	plan_id VARCHAR NOT NULL, 
	campaign VARCHAR NOT NULL, 
	wave VARCHAR NOT NULL, 
	as_of DATETIME NOT NULL, 
	created_at DATETIME NOT NULL, 
	fingerprint VARCHAR NOT NULL, 
	spec TEXT NOT NULL, 
	snapshot VARCHAR NOT NULL, 
	snapshot_sha256 VARCHAR NOT NULL, 
	arms TEXT NOT NULL, 
	state VARCHAR NOT NULL, 
	planned INTEGER DEFAULT '0' NOT NULL, 
	PRIMARY KEY (plan_id), 
	UNIQUE (campaign, wave)
);
INSERT INTO "plan" VALUES('plan-winback','winback','1','2026-03-04 02:30:00.000000','2026-03-05 01:30:00.000000','ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff','{}','snapshots/winback/s.parquet','0000000000000000000000000000000000000000000000000000000000000000','{"control": 0, "treatment": 0}','sending',8);
CREATE TABLE registration (
	campaign VARCHAR NOT NULL, 
	wave VARCHAR NOT NULL, 
	plan_id VARCHAR NOT NULL, 
	fingerprint VARCHAR NOT NULL, 
	spec_json TEXT NOT NULL, 
	at DATETIME NOT NULL, 
	PRIMARY KEY (campaign, wave)
);
INSERT INTO "registration" VALUES('winback','1','plan-winback','ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff','{}','2026-03-05 02:30:00.000000');
CREATE TABLE suppression (
	channel VARCHAR NOT NULL, 
	address VARCHAR NOT NULL, 
	reason VARCHAR NOT NULL, 
	source VARCHAR NOT NULL, 
	at DATETIME NOT NULL, 
	PRIMARY KEY (channel, address)
);
INSERT INTO "suppression" VALUES('email','c7@mail.example','unsubscribed','link','2026-03-05 02:30:00.000000');
CREATE INDEX message_queue ON message (plan_id, batch, state, not_before);
CREATE UNIQUE INDEX one_hand_over_that_could_be_accepted ON attempt (message_id) WHERE outcome IS NULL OR outcome IN ('accepted', 'unknown');
CREATE INDEX ix_attempt_serial ON attempt (serial);
COMMIT;
