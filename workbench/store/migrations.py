"""The tables, as an ordered list of scripts. A script is never edited once released."""

from __future__ import annotations

SCRIPTS: tuple[str, ...] = (
    """
    CREATE TABLE artifacts (
        digest TEXT PRIMARY KEY, kind TEXT NOT NULL, files TEXT NOT NULL, meta TEXT NOT NULL,
        created TEXT NOT NULL
    );
    CREATE TABLE datasets (
        fingerprint TEXT PRIMARY KEY, name TEXT NOT NULL, artifact TEXT NOT NULL,
        created TEXT NOT NULL
    );
    CREATE TABLE runs (
        id TEXT PRIMARY KEY, kind TEXT NOT NULL, status TEXT NOT NULL, config TEXT NOT NULL,
        inputs TEXT NOT NULL, outputs TEXT NOT NULL DEFAULT '{}',
        metrics TEXT NOT NULL DEFAULT '{}', error TEXT, control TEXT NOT NULL DEFAULT 'run',
        created TEXT NOT NULL, started TEXT, finished TEXT
    );
    CREATE TABLE studies (
        id TEXT PRIMARY KEY, content TEXT NOT NULL UNIQUE, model TEXT NOT NULL,
        dataset TEXT NOT NULL, config TEXT NOT NULL, created TEXT NOT NULL
    );
    CREATE TABLE variants (
        study TEXT NOT NULL REFERENCES studies(id), digest TEXT NOT NULL, recipe TEXT NOT NULL,
        measured TEXT NOT NULL, created TEXT NOT NULL, PRIMARY KEY (study, recipe)
    );
    CREATE INDEX variants_by_digest ON variants(digest);
    CREATE TABLE cache (key TEXT PRIMARY KEY, value TEXT NOT NULL, created TEXT NOT NULL);
    CREATE TABLE models (
        name TEXT PRIMARY KEY, last_number INTEGER NOT NULL, created TEXT NOT NULL
    );
    CREATE TABLE versions (
        name TEXT NOT NULL REFERENCES models(name), number INTEGER NOT NULL,
        digest TEXT NOT NULL, manifest TEXT NOT NULL, signature TEXT NOT NULL,
        created TEXT NOT NULL, PRIMARY KEY (name, number), UNIQUE (name, digest)
    );
    CREATE TRIGGER versions_never_change BEFORE UPDATE ON versions
        BEGIN SELECT RAISE(ABORT, 'a version is never changed'); END;
    CREATE TABLE aliases (
        name TEXT NOT NULL, alias TEXT NOT NULL, number INTEGER NOT NULL,
        PRIMARY KEY (name, alias), FOREIGN KEY (name, number) REFERENCES versions(name, number)
    );
    CREATE TABLE alias_history (
        id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, alias TEXT NOT NULL,
        number INTEGER NOT NULL, on_stack INTEGER NOT NULL DEFAULT 1, created TEXT NOT NULL
    );
    CREATE TABLE alias_revoked (
        name TEXT NOT NULL, alias TEXT NOT NULL, number INTEGER NOT NULL,
        PRIMARY KEY (name, alias, number)
    );
    CREATE TABLE audit (
        id INTEGER PRIMARY KEY, time TEXT NOT NULL, actor TEXT NOT NULL, action TEXT NOT NULL,
        subject TEXT NOT NULL, data TEXT NOT NULL, previous TEXT NOT NULL, hash TEXT NOT NULL,
        signature TEXT NOT NULL
    );
    CREATE TRIGGER audit_never_changes BEFORE UPDATE ON audit
        BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
    CREATE TRIGGER audit_never_forgets BEFORE DELETE ON audit
        BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
    CREATE TRIGGER audit_never_overwrites BEFORE INSERT ON audit
        WHEN EXISTS (SELECT 1 FROM audit WHERE id = NEW.id)
        BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
    """,
    """
    CREATE TABLE seals (
        kind TEXT NOT NULL, key TEXT NOT NULL, seal TEXT NOT NULL, PRIMARY KEY (kind, key)
    ) WITHOUT ROWID;
    CREATE INDEX audit_by_subject ON audit(subject, action, id);
    """,
)
