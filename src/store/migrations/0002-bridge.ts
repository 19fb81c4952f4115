/**
 * The bridge's own tables: scheduled work, contacts, submissions, outbound and inbound messages (design 4).
 * Every state column is checked here, so that a state the code does not know cannot be written.
 */
export const BRIDGE_TABLES = `
-- One row per thing that still has to run. A job of the queue is only a hint that its row may be due;
-- the row decides (design 3: the lease is SQLite's, retries are ours).
CREATE TABLE work (
  row             TEXT PRIMARY KEY,
  account_id      INTEGER NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
  stage           TEXT NOT NULL,
  attempt         INTEGER NOT NULL,
  failures        INTEGER NOT NULL DEFAULT 0,
  next_attempt_ms INTEGER NOT NULL,
  last_error      TEXT,
  lease           TEXT,
  wake            INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

-- A key one account has seen. 'new': seen, never mailed with; 'known': pinned on first use (design 9).
CREATE TABLE contacts (
  account_id    INTEGER NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
  key_id        TEXT NOT NULL,
  trust         TEXT NOT NULL CHECK (trust IN ('new', 'known', 'domain', 'signed', 'verified', 'blocked')),
  user_id       TEXT NOT NULL,
  announcement  TEXT NOT NULL,
  announced_ms  INTEGER NOT NULL,
  fetched_ms    INTEGER NOT NULL,
  first_seen_ms INTEGER NOT NULL,
  PRIMARY KEY (account_id, key_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE addresses (
  account_id INTEGER NOT NULL,
  address    TEXT NOT NULL,
  key_id     TEXT NOT NULL,
  PRIMARY KEY (account_id, address, key_id),
  FOREIGN KEY (account_id, key_id) REFERENCES contacts (account_id, key_id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

CREATE TABLE address_lookups (
  account_id   INTEGER NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
  address      TEXT NOT NULL,
  looked_up_ms INTEGER NOT NULL,
  found_ms     INTEGER,
  PRIMARY KEY (account_id, address)
) STRICT, WITHOUT ROWID;

CREATE TABLE outbound_messages (
  id                INTEGER PRIMARY KEY,
  account_id        INTEGER NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
  state             TEXT NOT NULL CHECK (state IN ('accepted', 'resolved', 'encoded', 'posting', 'posted', 'done', 'cancelled')),
  blob_id           BLOB NOT NULL,
  message_id        TEXT,
  message_unique_id TEXT NOT NULL,
  reportable        INTEGER NOT NULL,
  return_content    TEXT CHECK (return_content IN ('full', 'headers')),
  envelope_id       TEXT,
  accepted_ms       INTEGER NOT NULL,
  outbox_uid        INTEGER,
  delay_reported_ms INTEGER
) STRICT;
CREATE INDEX outbound_messages_by_account ON outbound_messages (account_id, state);
CREATE INDEX outbound_messages_by_blob ON outbound_messages (blob_id);

CREATE TABLE outbound_copies (
  id              INTEGER PRIMARY KEY,
  outbound_id     INTEGER NOT NULL REFERENCES outbound_messages (id) ON DELETE CASCADE,
  file            TEXT NOT NULL,
  message_hash    TEXT NOT NULL,
  announcement_id TEXT NOT NULL,
  encoded_ms      INTEGER NOT NULL
) STRICT;
CREATE INDEX outbound_copies_by_message ON outbound_copies (outbound_id);

CREATE TABLE outbound_recipients (
  id                 INTEGER PRIMARY KEY,
  outbound_id        INTEGER NOT NULL REFERENCES outbound_messages (id) ON DELETE CASCADE,
  field              TEXT NOT NULL CHECK (field IN ('to', 'cc', 'bcc')),
  address            TEXT NOT NULL,
  key_id             TEXT,
  pinned             INTEGER NOT NULL,
  state              TEXT NOT NULL CHECK (state IN ('unresolved', 'resolved', 'posted', 'acknowledged', 'failed', 'unconfirmed')),
  notify             TEXT NOT NULL,
  original_recipient TEXT,
  copy_id            INTEGER REFERENCES outbound_copies (id),
  acknowledgment_id  TEXT,
  posted_ms          INTEGER,
  acknowledged_ms    INTEGER,
  status_code        TEXT,
  diagnostic         TEXT,
  reported_ms        INTEGER
) STRICT;
CREATE INDEX outbound_recipients_by_message ON outbound_recipients (outbound_id);
CREATE INDEX outbound_recipients_by_acknowledgment ON outbound_recipients (acknowledgment_id) WHERE acknowledgment_id IS NOT NULL;

-- One row per block and target: posting is done when none without posted_ms is left.
CREATE TABLE outbound_blocks (
  id            INTEGER PRIMARY KEY,
  account_id    INTEGER NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
  copy_id       INTEGER REFERENCES outbound_copies (id) ON DELETE CASCADE,
  recipient_id  INTEGER REFERENCES outbound_recipients (id) ON DELETE CASCADE,
  type          TEXT NOT NULL CHECK (type IN ('data', 'message-announcement', 'acknowledgment')),
  block_key     TEXT NOT NULL,
  target        TEXT NOT NULL,
  text          TEXT NOT NULL,
  payload_start INTEGER,
  payload_bytes INTEGER,
  created_ms    INTEGER NOT NULL,
  posted_ms     INTEGER
) STRICT;
CREATE INDEX outbound_blocks_by_copy ON outbound_blocks (copy_id);

CREATE TABLE submissions (
  id                INTEGER PRIMARY KEY,
  account_id        INTEGER NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
  outbound_id       INTEGER NOT NULL REFERENCES outbound_messages (id) ON DELETE CASCADE,
  login             TEXT NOT NULL,
  message_id        TEXT,
  recipients_digest TEXT NOT NULL,
  content_digest    TEXT NOT NULL,
  submitted_ms      INTEGER NOT NULL,
  sent_copy         TEXT NOT NULL CHECK (sent_copy IN ('waiting', 'ours', 'client', 'gone')),
  sent_uid          INTEGER
) STRICT;
CREATE INDEX submissions_by_message_id ON submissions (account_id, message_id);
CREATE INDEX submissions_by_digest ON submissions (account_id, content_digest);
CREATE INDEX submissions_by_outbound ON submissions (outbound_id);

CREATE TABLE inbound_announcements (
  id              INTEGER PRIMARY KEY,
  account_id      INTEGER NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
  announcement_id TEXT NOT NULL,
  -- Not covered by the id: a forged record with another hash must not stand in the way of the real one.
  message_hash    TEXT NOT NULL,
  state           TEXT NOT NULL CHECK (state IN ('announced', 'fetched', 'delivered', 'quarantined', 'hidden', 'duplicate', 'expired')),
  record          TEXT NOT NULL,
  server          TEXT NOT NULL,
  enough_work     INTEGER NOT NULL,
  seen_ms         INTEGER NOT NULL,
  hold_until_ms   INTEGER,
  reason          TEXT,
  fingerprint     TEXT,
  UNIQUE (account_id, announcement_id, message_hash)
) STRICT;
CREATE INDEX inbound_announcements_by_fingerprint ON inbound_announcements (account_id, fingerprint) WHERE fingerprint IS NOT NULL;

CREATE TABLE inbound_blocks (
  inbound_id INTEGER NOT NULL REFERENCES inbound_announcements (id) ON DELETE CASCADE,
  position   INTEGER NOT NULL,
  block_key  TEXT NOT NULL,
  fetched_ms INTEGER,
  PRIMARY KEY (inbound_id, position)
) STRICT, WITHOUT ROWID;

-- Message-ID of the mail program ⇄ MessageUniqueId of CM, for threads (design 10).
CREATE TABLE message_ids (
  account_id        INTEGER NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
  message_unique_id TEXT NOT NULL,
  message_id        TEXT NOT NULL,
  PRIMARY KEY (account_id, message_unique_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX message_ids_by_message_id ON message_ids (account_id, message_id);

-- What was said once need not be said again.
CREATE TABLE notices (
  account_id INTEGER NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
  kind       TEXT NOT NULL,
  subject    TEXT NOT NULL,
  told_ms    INTEGER NOT NULL,
  PRIMARY KEY (account_id, kind, subject)
) STRICT, WITHOUT ROWID;

CREATE TABLE polls (
  account_id   INTEGER PRIMARY KEY REFERENCES accounts (id) ON DELETE CASCADE,
  succeeded_ms INTEGER,
  full_ms      INTEGER,
  announced_ms INTEGER
) STRICT;
`
