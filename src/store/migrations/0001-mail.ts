/**
 * Accounts, keys, mailboxes, messages and their bytes, remembered certificates.
 * Columns named `sealed_*` and blob bytes pass through `vault.ts` only.
 */
export const MAIL_TABLES = `
CREATE TABLE schema_migrations (
  version       INTEGER PRIMARY KEY,
  name          TEXT NOT NULL,
  applied_at_ms INTEGER NOT NULL
) STRICT;

-- Values that only grow, one row each: the last UIDVALIDITY given out.
CREATE TABLE counters (
  name  TEXT PRIMARY KEY,
  value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO counters (name, value) VALUES ('uid_validity', 0);

CREATE TABLE accounts (
  id              INTEGER PRIMARY KEY,
  address         TEXT NOT NULL UNIQUE,
  short_name      TEXT NOT NULL UNIQUE,
  display_name    TEXT NOT NULL,
  key_id          TEXT NOT NULL UNIQUE,
  -- JSON array of HOST:PORT, in order of preference.
  servers         TEXT NOT NULL,
  auth_key_id     BLOB,
  sealed_auth_key BLOB,
  state           TEXT NOT NULL CHECK (state IN ('active', 'disabled')),
  created_at_ms   INTEGER NOT NULL
) STRICT;

CREATE TABLE app_passwords (
  id              BLOB PRIMARY KEY,
  account_id      INTEGER NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
  name            TEXT NOT NULL,
  allows_imap     INTEGER NOT NULL,
  allows_smtp     INTEGER NOT NULL,
  salt            BLOB NOT NULL,
  hash            BLOB NOT NULL,
  created_at_ms   INTEGER NOT NULL,
  last_used_at_ms INTEGER,
  UNIQUE (account_id, name)
) STRICT, WITHOUT ROWID;

-- OpenPGP secret keys of the accounts; the newest row of a key id is the one in use.
CREATE TABLE keys (
  id                BLOB PRIMARY KEY,
  account_id        INTEGER NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
  key_id            TEXT NOT NULL,
  sealed_secret_key BLOB NOT NULL,
  created_at_ms     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX keys_of_account ON keys (account_id);

CREATE TABLE mailboxes (
  id             INTEGER PRIMARY KEY AUTOINCREMENT,
  account_id     INTEGER NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
  name           TEXT NOT NULL,
  special_use    TEXT,
  -- 0 for a name that is only a parent (\\Noselect).
  selectable     INTEGER NOT NULL,
  uid_validity   INTEGER NOT NULL UNIQUE,
  uid_next       INTEGER NOT NULL DEFAULT 1,
  highest_modseq INTEGER NOT NULL DEFAULT 1,
  -- Kept by the triggers below, so that STATUS reads one row.
  message_count  INTEGER NOT NULL DEFAULT 0,
  unseen_count   INTEGER NOT NULL DEFAULT 0,
  deleted_count  INTEGER NOT NULL DEFAULT 0,
  total_size     INTEGER NOT NULL DEFAULT 0,
  UNIQUE (account_id, name)
) STRICT;

CREATE TABLE subscriptions (
  account_id INTEGER NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
  name       TEXT NOT NULL,
  PRIMARY KEY (account_id, name)
) STRICT, WITHOUT ROWID;

-- Keywords a mailbox has ever had, in their first spelling (RFC 9051 2.3.2: compared without regard to case).
CREATE TABLE mailbox_keywords (
  mailbox_id INTEGER NOT NULL REFERENCES mailboxes (id) ON DELETE CASCADE,
  keyword    TEXT NOT NULL COLLATE NOCASE,
  PRIMARY KEY (mailbox_id, keyword)
) STRICT, WITHOUT ROWID;

-- Bytes, shared by every copy of a message and by rows of the bridge; reference_count says by how many.
-- A blob without references stays until released_at_ms is a grace ago, so that a session can finish reading.
CREATE TABLE blobs (
  id              BLOB PRIMARY KEY,
  -- Not a foreign key: the bytes outlive a removed account by the grace.
  account_id      INTEGER NOT NULL,
  -- Octets in clear.
  size            INTEGER NOT NULL,
  reference_count INTEGER NOT NULL DEFAULT 0,
  released_at_ms  INTEGER,
  -- Of messages: MessageIndex without the header as JSON, and the header.
  sealed_index    BLOB,
  sealed_header   BLOB,
  -- NULL when the bytes are a file.
  sealed_bytes    BLOB
) STRICT;
CREATE INDEX blobs_released ON blobs (released_at_ms) WHERE reference_count = 0;
CREATE INDEX blobs_of_account ON blobs (account_id);

CREATE TABLE messages (
  mailbox_id       INTEGER NOT NULL REFERENCES mailboxes (id) ON DELETE CASCADE,
  uid              INTEGER NOT NULL,
  modseq           INTEGER NOT NULL,
  -- Bits of flag-columns.ts.
  system_flags     INTEGER NOT NULL,
  -- Separated by single spaces.
  keywords         TEXT NOT NULL,
  internal_date_ms INTEGER NOT NULL,
  size             INTEGER NOT NULL,
  blob_id          BLOB NOT NULL REFERENCES blobs (id),
  PRIMARY KEY (mailbox_id, uid)
) STRICT, WITHOUT ROWID;
CREATE INDEX messages_modseq ON messages (mailbox_id, modseq);
CREATE INDEX messages_blob ON messages (blob_id);

-- Removed messages: their bodies stay readable for a grace, and a client that was away is told (RFC 7162 3.2.10).
CREATE TABLE expunged_messages (
  mailbox_id INTEGER NOT NULL REFERENCES mailboxes (id) ON DELETE CASCADE,
  uid        INTEGER NOT NULL,
  modseq     INTEGER NOT NULL,
  blob_id    BLOB NOT NULL,
  PRIMARY KEY (mailbox_id, uid)
) STRICT, WITHOUT ROWID;
CREATE INDEX expunged_modseq ON expunged_messages (mailbox_id, modseq);

CREATE TRIGGER messages_counted AFTER INSERT ON messages BEGIN
  UPDATE mailboxes SET message_count = message_count + 1, total_size = total_size + NEW.size,
    unseen_count = unseen_count + (NEW.system_flags & 8 = 0),
    deleted_count = deleted_count + (NEW.system_flags & 4 <> 0)
  WHERE id = NEW.mailbox_id;
END;
CREATE TRIGGER messages_discounted AFTER DELETE ON messages BEGIN
  UPDATE mailboxes SET message_count = message_count - 1, total_size = total_size - OLD.size,
    unseen_count = unseen_count - (OLD.system_flags & 8 = 0),
    deleted_count = deleted_count - (OLD.system_flags & 4 <> 0)
  WHERE id = OLD.mailbox_id;
END;
CREATE TRIGGER messages_reflagged AFTER UPDATE OF system_flags ON messages
WHEN OLD.system_flags <> NEW.system_flags BEGIN
  UPDATE mailboxes SET
    unseen_count = unseen_count + (NEW.system_flags & 8 = 0) - (OLD.system_flags & 8 = 0),
    deleted_count = deleted_count + (NEW.system_flags & 4 <> 0) - (OLD.system_flags & 4 <> 0)
  WHERE id = NEW.mailbox_id;
END;

-- Server certificates as first seen, per HOST:PORT (design 9); a changed one waits beside it for the owner.
CREATE TABLE server_certificates (
  host_port           TEXT PRIMARY KEY,
  sha256              TEXT NOT NULL,
  description         TEXT NOT NULL,
  first_seen_ms       INTEGER NOT NULL,
  changed_sha256      TEXT,
  changed_description TEXT,
  changed_seen_ms     INTEGER
) STRICT, WITHOUT ROWID;
`
