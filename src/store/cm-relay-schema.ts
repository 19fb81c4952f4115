/** Tables of what our CM server sends to other servers, in its `blocks.db` (CM wire 9.3, 9.4). */
export const RELAY_TABLES = `
CREATE TABLE relay_items (
  -- In the order of arrival, never used again.
  item_id INTEGER PRIMARY KEY AUTOINCREMENT,
  -- SHA-256 over what makes it the same item: a client that repeats itself queues nothing new.
  digest BLOB NOT NULL UNIQUE,
  key TEXT NOT NULL,
  user_id TEXT NOT NULL,
  is_data INTEGER NOT NULL,
  text TEXT NOT NULL,
  -- Data: a small payload here, or the name of its file in the relay directory.
  payload BLOB,
  payload_file TEXT UNIQUE,
  payload_bytes INTEGER NOT NULL,
  -- For the limits: octets of text and payload, and how many targets it was given.
  bytes INTEGER NOT NULL,
  targets INTEGER NOT NULL,
  expires_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX relay_items_by_user ON relay_items (user_id, bytes, targets);
CREATE INDEX relay_items_by_expiry ON relay_items (expires_ms);
CREATE TABLE relay_deliveries (
  item_id INTEGER NOT NULL REFERENCES relay_items ON DELETE CASCADE,
  target TEXT NOT NULL,
  is_data INTEGER NOT NULL,
  failures INTEGER NOT NULL,
  -- The release date at first, then the next attempt.
  next_ms INTEGER NOT NULL,
  PRIMARY KEY (item_id, target)
) STRICT, WITHOUT ROWID;
CREATE INDEX relay_deliveries_by_target ON relay_deliveries (target, next_ms);
CREATE INDEX relay_deliveries_by_time ON relay_deliveries (next_ms);
CREATE TABLE relay_targets (
  -- 'replicate' is the peer.
  target TEXT PRIMARY KEY,
  failures INTEGER NOT NULL,
  next_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE replicas (
  -- The order of arrival is the order of sending.
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  -- NULL for accounts: each of their changes counts.
  digest BLOB UNIQUE,
  -- NULL for accounts.
  type TEXT,
  key TEXT,
  user_id TEXT NOT NULL,
  text TEXT NOT NULL,
  -- Accounts only: the key has to be told in clear; overwritten before the row goes.
  row_key BLOB,
  sealed_auth_key BLOB,
  failures INTEGER NOT NULL DEFAULT 0,
  next_ms INTEGER NOT NULL DEFAULT 0,
  is_set_aside INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE relay_certificates (
  host_port TEXT PRIMARY KEY,
  sha256 TEXT NOT NULL,
  description TEXT NOT NULL,
  first_seen_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
`
