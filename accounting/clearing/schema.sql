-- Version 1 of the clearing store. Text that came from outside stands in text
-- columns only for searching, without the characters that PostgreSQL refuses:
-- what counts is in doc. Times are Unix seconds of the reports unless they
-- say otherwise. Order in generation and due is that of the number.
CREATE TABLE clearing_source (
	node      text   NOT NULL,
	epoch     bigint NOT NULL,
	lowest    bigint NOT NULL,
	whole     bigint NOT NULL,
	highest   bigint NOT NULL,
	beyond    bigint NOT NULL,
	forgotten bigint NOT NULL,
	since     bigint NOT NULL, -- nanoseconds, our clock
	taken     bigint NOT NULL, -- nanoseconds, our clock
	arrival   bigint NOT NULL, -- nanoseconds, the hub's clock
	PRIMARY KEY (node, epoch)
);
CREATE TABLE clearing_stretch (
	node  text   NOT NULL,
	epoch bigint NOT NULL,
	first bigint NOT NULL,
	last  bigint NOT NULL,
	hash  bytea  NOT NULL,
	taken bigint NOT NULL, -- nanoseconds, our clock
	PRIMARY KEY (node, epoch, first)
);
CREATE INDEX clearing_stretch_taken ON clearing_stretch USING brin (taken) WITH (autosummarize = on);
CREATE TABLE clearing_settled (
	node  text   NOT NULL,
	epoch bigint NOT NULL,
	first bigint NOT NULL,
	last  bigint NOT NULL,
	hash  bytea  NOT NULL,
	PRIMARY KEY (node, epoch, first, last, hash)
);
CREATE TABLE clearing_claim (
	key      bytea  PRIMARY KEY,
	contents bytea  NOT NULL,
	at       bigint NOT NULL
);
CREATE INDEX clearing_claim_at ON clearing_claim USING brin (at) WITH (autosummarize = on);
CREATE TABLE clearing_session (
	id         bytea   NOT NULL,
	generation bigint  NOT NULL,
	nas        bytea   NOT NULL,
	open       boolean NOT NULL,
	due        bigint  NOT NULL,
	updated    bigint  NOT NULL,
	reports    bigint  NOT NULL,
	tail       bytea   NOT NULL, -- the last few traces
	doc        bytea   NOT NULL,
	PRIMARY KEY (id, generation)
);
CREATE INDEX clearing_session_open ON clearing_session (nas, id, generation) WHERE open;
CREATE INDEX clearing_session_due ON clearing_session (due) WHERE due <> 0;
CREATE INDEX clearing_session_updated ON clearing_session (updated) WHERE NOT open;
CREATE TABLE clearing_trace (
	id         bytea   NOT NULL,
	generation bigint  NOT NULL,
	place      integer NOT NULL,
	doc        bytea   NOT NULL,
	PRIMARY KEY (id, generation, place)
);
CREATE TABLE clearing_journey (
	id   bytea   PRIMARY KEY,
	legs integer NOT NULL,
	at   bigint  NOT NULL
);
CREATE INDEX clearing_journey_at ON clearing_journey (at);
CREATE TABLE clearing_record (
	ord        bigint  PRIMARY KEY,
	id         bytea   NOT NULL UNIQUE,
	session    bytea   NOT NULL,
	of_id      bytea   NOT NULL, -- and of_generation: the row of clearing_session
	of_generation bigint NOT NULL,
	at         bigint  NOT NULL,
	ended      bigint  NOT NULL,
	home       text    NOT NULL,
	visited    text    NOT NULL,
	client     text    NOT NULL,
	session_id text    NOT NULL,
	device     bytea   NOT NULL,
	user_hash  bytea   NOT NULL,
	cui        bytea   NOT NULL,
	status     text    NOT NULL,
	billable   boolean NOT NULL,
	exceptions text    NOT NULL, -- each between commas
	doc        json    NOT NULL
);
CREATE INDEX clearing_record_session ON clearing_record (session);
CREATE INDEX clearing_record_at ON clearing_record USING brin (at) WITH (autosummarize = on);
CREATE TABLE clearing_tally (
	node   text    NOT NULL,
	client text    NOT NULL,
	class  integer NOT NULL,
	reason text    NOT NULL,
	n      bigint  NOT NULL,
	PRIMARY KEY (node, client, class, reason)
);
CREATE TABLE clearing_count (
	name text   PRIMARY KEY,
	n    bigint NOT NULL
);
CREATE TABLE clearing_letter (
	number bigint PRIMARY KEY,
	digest bytea  NOT NULL UNIQUE,
	doc    bytea  NOT NULL
);
