/**
 * What an account says to its network beyond one server list: mailboxes and cost with the values before them, a server
 * it moved away from, a server its key is published at, bypass secrets; and messages that wait for a time.
 */
export const NETWORK_TABLES = `
-- How many mailboxes we announce and how much work we ask for (CM message 10.1).
ALTER TABLE accounts ADD COLUMN mailbox_count INTEGER NOT NULL DEFAULT 4 CHECK (mailbox_count IN (2, 4, 8, 16));
ALTER TABLE accounts ADD COLUMN cost_bits INTEGER NOT NULL DEFAULT 24 CHECK (cost_bits IN (24, 32, 36, 40));
-- What was announced before: polled and accepted until then, since others still have the old announcement.
ALTER TABLE accounts ADD COLUMN previous_mailbox_count INTEGER;
ALTER TABLE accounts ADD COLUMN previous_cost_bits INTEGER;
ALTER TABLE accounts ADD COLUMN previous_until_ms INTEGER;
-- JSON array of HOST:PORT the account moved away from: polled, and its key posted there, until old_until_ms.
ALTER TABLE accounts ADD COLUMN old_servers TEXT NOT NULL DEFAULT '[]';
ALTER TABLE accounts ADD COLUMN old_auth_key_id BLOB;
ALTER TABLE accounts ADD COLUMN sealed_old_auth_key BLOB;
ALTER TABLE accounts ADD COLUMN old_until_ms INTEGER;
-- JSON array of HOST:PORT where the key is published and no mail is polled (PubTransport).
ALTER TABLE accounts ADD COLUMN publish_servers TEXT NOT NULL DEFAULT '[]';
ALTER TABLE accounts ADD COLUMN publish_auth_key_id BLOB;
ALTER TABLE accounts ADD COLUMN sealed_publish_auth_key BLOB;
ALTER TABLE accounts ADD COLUMN uses_bypass_tokens INTEGER NOT NULL DEFAULT 1;
-- Read, delete and archive records of the owner's reference clients are applied to flags (CM message 7).
ALTER TABLE accounts ADD COLUMN applies_folder_sync INTEGER NOT NULL DEFAULT 0;
-- Days between changes of the encryption subkey; 0: only when the owner says so (CM message 10.5).
ALTER TABLE accounts ADD COLUMN rotate_days INTEGER NOT NULL DEFAULT 0;

-- The servers an account moved away from are looked at on their own: one that is dead must not hide mail elsewhere.
ALTER TABLE polls ADD COLUMN old_succeeded_ms INTEGER;
ALTER TABLE polls ADD COLUMN old_full_ms INTEGER;

-- When the key's newest certificate ends; NULL: never, or not known.
ALTER TABLE contacts ADD COLUMN expires_ms INTEGER;
-- When the domain last vouched for this address of the key (design 9, trust 'domain'); NULL: never.
ALTER TABLE addresses ADD COLUMN vouched_ms INTEGER;

-- Bypass tokens (CM wire 6): 'issued' to a key, which may then write to us cheaply, or 'received' from it.
CREATE TABLE bypass_secrets (
  id            BLOB PRIMARY KEY,
  account_id    INTEGER NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
  direction     TEXT NOT NULL CHECK (direction IN ('issued', 'received')),
  key_id        TEXT NOT NULL,
  sealed_secret BLOB NOT NULL,
  -- As on the wire: YYYY-MM-DDThh:mm:ssZ, for a foreign token in the issuer's local time.
  created       TEXT NOT NULL,
  expires       TEXT NOT NULL,
  -- A received one: when it last came.
  stored_ms     INTEGER NOT NULL,
  -- Issued in place of one we lost: when it was last sent so that a reference client takes it. NULL: an ordinary one.
  replaced_ms   INTEGER,
  -- A received one: when mail sent with it was given up unacknowledged. NULL again when it comes again.
  doubted_ms    INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX bypass_secrets_of_account ON bypass_secrets (account_id, direction, key_id);
-- The received secret an announcement was made with, so that it can be made anew, and doubted when nobody acknowledges.
ALTER TABLE outbound_recipients ADD COLUMN bypass_secret_id BLOB;
CREATE INDEX outbound_recipients_by_bypass_secret ON outbound_recipients (bypass_secret_id) WHERE bypass_secret_id IS NOT NULL;
-- Whose token stood for the work; the signer must be the same key (CM wire 6).
ALTER TABLE inbound_announcements ADD COLUMN bypass_key_id TEXT;
-- The key that signed a message whose token we do not know: we have lost it.
ALTER TABLE inbound_announcements ADD COLUMN unknown_token_from TEXT;
CREATE INDEX inbound_announcements_by_unknown_token ON inbound_announcements (account_id, unknown_token_from) WHERE unknown_token_from IS NOT NULL;
-- The delivered message, by its bytes: copies and moves keep them.
ALTER TABLE inbound_announcements ADD COLUMN blob_id BLOB;
-- Signature and ZIP of a small one that verified, so that it can be passed on with them; goes when the message is gone.
ALTER TABLE inbound_announcements ADD COLUMN container_blob_id BLOB;
CREATE INDEX inbound_announcements_with_container ON inbound_announcements (id) WHERE container_blob_id IS NOT NULL;

-- Not posted before this time (design 7.11); NULL: at once.
ALTER TABLE outbound_messages ADD COLUMN release_ms INTEGER;
`
