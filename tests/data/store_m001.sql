BEGIN TRANSACTION;
CREATE TABLE document ( -- comparisons and attempts
        kind TEXT NOT NULL,
        id TEXT NOT NULL,
        body TEXT NOT NULL,  -- JSON
        saved_at TEXT NOT NULL,
        PRIMARY KEY (kind, id)
    );
INSERT INTO "document" VALUES('comparison','c1','{"verdict":"better"}','2026-11-21T07:55:06.008010+00:00');
CREATE TABLE earlier_evidence ( -- what scoring again has replaced; columns as in evidence
        trial_id INTEGER NOT NULL REFERENCES trial (id) ON DELETE CASCADE,
        score TEXT NOT NULL,
        judgements TEXT NOT NULL,
        scored_at TEXT NOT NULL,
        version TEXT
    );
CREATE TABLE evidence (       -- what the score rests on
        trial_id INTEGER PRIMARY KEY REFERENCES trial (id) ON DELETE CASCADE,
        score TEXT,                -- JSON: score with checks and alignment; none while not scored
        judgements TEXT NOT NULL,  -- JSON list of the judge's answers as they were used
        scored_at TEXT NOT NULL,   -- UTC
        version TEXT               -- of mcp-evals that scored; none where it is not installed as a package
    );
INSERT INTO "evidence" VALUES(1,'{"verdict":"failed","score":0.5,"checks":[{"name":"calls","score":0.5,"weight":1.0}],"reason":"wrong amount"}','[{"key":"b2:1","score":1.0,"reason":"It says so.","judge":"openai:gpt-5","cost_usd":0.5}]','2026-11-21T07:55:06.007194+00:00',NULL);
INSERT INTO "evidence" VALUES(2,NULL,'[]','2026-11-21T07:55:06.007941+00:00',NULL);
CREATE TABLE judgement ( -- the judge's answers, so that no question is paid for twice
        key TEXT NOT NULL,    -- content address of the question
        judge TEXT NOT NULL,  -- target that judged
        body TEXT NOT NULL,   -- JSON
        cost_usd REAL,        -- none: unknown
        asked_at TEXT NOT NULL,
        paid_by TEXT,         -- id of the run that asked first; kept when that run is deleted
        PRIMARY KEY (key, judge)
    );
INSERT INTO "judgement" VALUES('b2:1','openai:gpt-5','{"key":"b2:1","score":1.0,"reason":"It says so.","judge":"openai:gpt-5","cost_usd":0.5}',0.5,'2026-11-21T07:55:06.007674+00:00','20250504-aaaa');
CREATE TABLE migration (name TEXT PRIMARY KEY, applied_at TEXT NOT NULL);
INSERT INTO "migration" VALUES('m001_first_tables','2026-11-21T07:55:05.996347+00:00');
CREATE TABLE part (         -- what many transcripts share, once each: tools, system prompts, histories
        digest TEXT PRIMARY KEY, -- BLAKE2b-16 of the body as it stands
        body TEXT NOT NULL       -- JSON, keys in the order sent
    );
INSERT INTO "part" VALUES('d55c0be53847b7251198d8b719bd2bca','[{"role":"user","text":"Grüß Gott \u0000"}]');
INSERT INTO "part" VALUES('1816dadbd81b60978e4a89710737739a','[{"z":1,"a":2}]');
CREATE TABLE run (          -- one row a run; times are UTC, JSON is said
        id TEXT PRIMARY KEY,
        suite TEXT NOT NULL,
        suite_digest TEXT NOT NULL REFERENCES suite (digest), -- the suite that scored it
        track TEXT,
        target TEXT NOT NULL,
        settings TEXT NOT NULL,    -- JSON
        case_ids TEXT NOT NULL,    -- JSON list, in the suite's order
        status TEXT NOT NULL,      -- working, completed, failed, cancelled
        created_at TEXT NOT NULL,
        finished_at TEXT,
        label TEXT UNIQUE,         -- name that the user gave
        error TEXT,                -- why the run as a whole stopped
        notes TEXT NOT NULL,       -- JSON list
        owner_host TEXT,           -- the process that works on it: none while nobody does
        owner_pid INTEGER,
        owner_started TEXT,        -- when that process started, in the system's words
        owner_token TEXT,          -- drawn once by each process
        heartbeat_at REAL          -- seconds since 1970
    );
INSERT INTO "run" VALUES('20250504-aaaa','shop','b2:bc0a93d3e0b258ce358e3dab34e24ffa',NULL,'openai:gpt-5','{"trials":2,"seed":"none","temperature":null,"max_output_tokens":null,"tool_choice":"auto","parallel_calls":null,"strict_schemas":null,"timeout_s":300.0,"max_concurrency":8,"max_cost_usd":null,"max_calls":null,"extra":{"top_k":3}}','["refund","cancel"]','completed','2025-05-04T12:00:00.000000+00:00','2025-05-04T12:00:00.000000+00:00','baseline',NULL,'[]',NULL,NULL,NULL,NULL,NULL);
CREATE TABLE suite (      -- suites as they were when they ran
        digest TEXT PRIMARY KEY, -- content address
        name TEXT NOT NULL,
        body TEXT NOT NULL,      -- JSON
        saved_at TEXT NOT NULL   -- UTC
    );
INSERT INTO "suite" VALUES('b2:bc0a93d3e0b258ce358e3dab34e24ffa','shop','{"name":"shop","tools":[{"name":"t","input_schema":{"type":"object","properties":{"z":{},"kind":{},"a":{}}}}],"cases":[{"id":"refund","user":["Refund it.","I want my money back."],"expect":{"calls":[{"tool":"t","args":{"z":1},"critics":[{"field":"z","kind":"numeric","tolerance":1.0}],"returns":null}],"text":[{"contains":"done"}]},"rubric":{"fail_below":0.8}},{"id":"cancel","user":"Cancel it."}]}','2026-11-21T07:55:06.006512+00:00');
CREATE TABLE transcript ( -- what was said
        trial_id INTEGER PRIMARY KEY REFERENCES trial (id) ON DELETE CASCADE,
        body TEXT NOT NULL     -- JSON, without its parts
    );
INSERT INTO "transcript" VALUES(1,'{"system":"Be kind.","invocations":[{"user":"Refund it.","steps":[{"text":"a lone \ud800 surrogate","calls":[{"name":"t","arguments":{"z":17.0,"a":null,"big":1208925819614629174706176}}],"results":[{"content":{"ok":true}}],"usage":{"input_tokens":10,"output_tokens":5},"latency_s":0.25}]}],"ended":"calls","request":{"model":"gpt-5","tools":null}}');
CREATE TABLE transcript_part ( -- which parts belong to a transcript
        trial_id INTEGER NOT NULL REFERENCES transcript (trial_id) ON DELETE CASCADE,
        place TEXT NOT NULL,        -- system, history, or request.KEY
        digest TEXT NOT NULL REFERENCES part (digest),
        PRIMARY KEY (trial_id, place)
    ) WITHOUT ROWID;
INSERT INTO "transcript_part" VALUES(1,'request.tools','1816dadbd81b60978e4a89710737739a');
INSERT INTO "transcript_part" VALUES(1,'history','d55c0be53847b7251198d8b719bd2bca');
CREATE TABLE trial (           -- one row a trial, without anything long: sums read only this
        id INTEGER PRIMARY KEY,
        run_id TEXT NOT NULL REFERENCES run (id) ON DELETE CASCADE,
        case_id TEXT NOT NULL,
        number INTEGER NOT NULL,      -- number of the trial of its case, from 0
        phrasing INTEGER NOT NULL,    -- which way of asking
        seed INTEGER,
        verdict TEXT,                 -- passed, warned, failed, errored; none while not scored
        score REAL,
        reason TEXT,                  -- of the verdict, or the error's message
        error_kind TEXT,              -- none where the trial could be held
        input_tokens INTEGER,         -- tokens of the target; none: unknown
        output_tokens INTEGER,
        cached_input_tokens INTEGER,
        cache_write_tokens INTEGER,
        cost_usd REAL,                -- none: unknown
        duration_s REAL NOT NULL,
        latency_s REAL,               -- seconds spent waiting for the model
        started_at TEXT,              -- UTC
        self_scored INTEGER NOT NULL, -- 1: the subject gave itself the score
        UNIQUE (run_id, case_id, number)
    );
INSERT INTO "trial" VALUES(1,'20250504-aaaa','refund',0,1,42,'failed',0.5,'wrong amount',NULL,10,5,3,NULL,0.125,1.5,0.25,'2025-05-04T12:00:00.000000+00:00',1);
INSERT INTO "trial" VALUES(2,'20250504-aaaa','cancel',0,0,NULL,'errored',NULL,'429 from the provider','rate_limit',NULL,NULL,NULL,NULL,NULL,0.0,NULL,NULL,0);
CREATE INDEX run_by_suite ON run (suite, target);
CREATE INDEX transcript_part_by_digest ON transcript_part (digest);
CREATE INDEX earlier_evidence_by_trial ON earlier_evidence (trial_id);
CREATE INDEX judgement_by_run ON judgement (paid_by);
COMMIT;
