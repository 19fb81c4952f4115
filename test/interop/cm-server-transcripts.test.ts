import { readdirSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startTestCmServer, type TestCmServer, WireClient } from '../support/cm-server-support.ts'
import { type Exchange, readTranscript } from '../support/cm-transcript.ts'
import { vectorPath } from '../support/vectors.ts'

/** The recordings were made in these minutes; blocks in them are judged by that time. */
const RECORDED_AT_MS = Date.parse('2026-11-25T09:43:20Z')

const ACCOUNTS = {
  ACCOUNTKEY000001: 'undefined',
  ACCOUNTKEY000002: 'undefined',
  ACCOUNTKEY000003: 'A1B2C3D4E5F60718293A4B5C6D7E8F9011223344',
  ACCOUNTKEY000004: 'B1B2C3D4E5F60718293A4B5C6D7E8F9011223355',
  ACCOUNTKEY000005: 'a1b2c3d4e5f60718293a4b5c6d7e8f9011223344',
  ACCOUNTKEY000009: 'undefined',
  ACCOUNTKEY000010: 'undefined',
  NEWKEY0002: 'disabled',
  ADMINKEY00000001: 'administrator',
  REPLICATIONKEY01: 'replication',
}

/** What the recorder's resolver knew. */
const SERVER_LIST = [['v=spf1 -all'], ['server=127.0.0.1:18080']]
const NAMES: Readonly<Record<string, readonly (readonly string[])[]>> = {
  'cmsvr.example.org': SERVER_LIST,
  'cmsvr.alias.example': SERVER_LIST,
  'cmsvr.empty.example': [],
  'cmsvr.two.example': [['server=127.0.0.1:1', 'second string']],
}

/** Everything of `server/` that can be replayed, in an order in which blocks are stored before they are read. */
const SERVER_DIALOGUES = [
  'plain-commands',
  'bad-commands',
  'body-framing',
  'lone-lf',
  'pipelining',
  'login',
  'login-case',
  'login-authkey-case',
  'get-other-user',
  'second-starttls',
  'dns-txt',
  'replication-login',
  'rebind',
  'admin',
  'login-disabled',
  'unknown-type',
  'unknown-type-login',
  'type-confusion',
  'record-without-recipient',
  'selftest',
  'store-thread-death',
  'shutdown',
]

/** What two servers' users and administrators said, and what one server said to the other. */
const REPLICATION_DIALOGUES = [
  'replicated-admin',
  'replicated-post-anonymous',
  'replicated-post-by-user',
  'replication-001',
  'replication-002',
  'replication-003',
  'replication-004',
]

/** Recordings that are not replayed here: why, and where the same is tested. */
const ELSEWHERE: Readonly<Record<string, string>> = {
  'client/00-login-refused': 'waits for a time-out: unit/cm/server/hostile-client, time',
  'server/busy': 'a server that is full: below',
  'server/busy-speaking': 'a server that is full: below',
  'server/get-anonymous': 'recorded side by side with get-logged-in: below',
  'server/get-logged-in': 'recorded side by side with get-anonymous: below',
  'server/line-length': 'its lines are cut: unit/cm/server/hostile-client, the length of things',
  'server/size-limit': 'its payloads were not kept: unit/cm/server/hostile-client, the length of things',
  'server/starttls-injection': 'we close there (CM wire S4): dialog/cm/starttls-injection',
  'server/timeout-after-command': 'unit/cm/server/hostile-client, time',
  'server/timeout-half-line': 'unit/cm/server/hostile-client, time',
  'server/timeout-in-data': 'unit/cm/server/hostile-client, time',
  'server/timeout-silent': 'unit/cm/server/hostile-client, time',
}

/** What the reference client said. */
const CLIENT_DIALOGUES = [
  '01-key-post-first-login-001',
  '02-key-post-bob-001',
  '03-check-empty-001',
  '04-check-empty-since-001',
  '05-lookup-address-at-server-001',
  '06-lookup-keyid-at-server-001',
  '07-lookup-unknown-001',
  '08-lookup-dns-001',
  '09-send-001',
  '10-check-unknown-sender-retry-ack-001',
  '10-check-unknown-sender-retry-ack-002',
  '10-check-unknown-sender-retry-ack-003',
  '10-check-unknown-sender-retry-ack-004',
  '10-check-unknown-sender-retry-ack-005',
  '11-ack-search-found-001',
  '12-send-token-attachment-001',
  '13-send-again-token-used-001',
  '14-check-alice-001',
  '14-check-alice-002',
  '14-check-alice-003',
  '15-send-using-token-001',
  '16-check-bob-two-001',
  '16-check-bob-two-002',
  '16-check-bob-two-003',
  '17-ack-search-mixed-001',
  '18-ack-search-bob-001',
  '19-send-embargo-001',
  '20-check-nothing-new-001',
  '21-server-delivers-embargoed-001',
  '22-check-embargoed-001',
  '22-check-embargoed-002',
  '22-check-embargoed-003',
]

interface Difference {
  readonly dialogue: RegExp
  /** The client's first line of the exchange. */
  readonly command: RegExp
  /** What we answer: the exact text, or a part that must be in it. */
  readonly ours: string | RegExp
  readonly reason: string
}

const LONE_LINE_END = 'lines with a lone CR or LF are refused (CM wire S5)'
const NO_DHT = 'the DHT is not offered yet'
const OTHERS_MAILBOX = 'a mailbox is read by its owner alone (CM wire S12)'

/** Every place where we answer otherwise than the reference, on purpose. */
const DIFFERENCES: readonly Difference[] = [
  {
    dialogue: /^server\/plain-commands$/,
    command: /^LOGIN /,
    ours: 'FAILED\r\n',
    reason: 'LOGIN needs TLS (CM wire S4)',
  },
  {
    dialogue: /^server\/plain-commands$/,
    command: /^GET SERVER /,
    ours: 'NOT FOUND\r\n',
    reason: 'nobody is logged in',
  },
  { dialogue: /^server\/lone-lf$/, command: /^PING a/, ours: 'INVALID COMMAND\r\n', reason: LONE_LINE_END },
  {
    dialogue: /^server\/body-framing$/,
    command: /^GET SERVER 886a41/,
    ours: /\r\nData: 17\r\nlower data header$/,
    reason: 'the Data line is stored in its usual spelling, which every client reads',
  },
  {
    dialogue: /^server\/body-framing$/,
    command: /^STORE SERVER 19277f/,
    ours: 'FAILED\r\n',
    reason: LONE_LINE_END,
  },
  {
    dialogue: /^server\/get-(anonymous|logged-in)$/,
    command: /^STORE SERVER bd078e/,
    ours: 'FAILED\r\n',
    reason:
      'a block dated 2036 is not good yet, or our clock is wrong: it is to be offered again (CM wire S11)',
  },
  {
    dialogue: /^server\/get-logged-in$/,
    command: /^GET SERVER bd078e/,
    ours: 'NOT FOUND\r\n',
    reason: 'a block dated 2036 is not taken (CM wire S11)',
  },
  {
    dialogue: /^server\/login-case$/,
    command: /^LOGIN A1B2C3D4E5F60718293A4B5C6D7E8F9011223344 ACCOUNTKEY000005$/,
    ours: 'DONE\r\n',
    reason: 'key ids are compared without regard to case (CM wire 7.7)',
  },
  {
    dialogue: /^server\/login-case$/,
    command: /^LOGIN a1b2c3d4e5f60718293a4b5c6d7e8f9011223344 /,
    ours: 'FAILED\r\n',
    reason: 'the first LOGIN was good already, a second one is refused',
  },
  {
    dialogue: /^server\/login-case$/,
    command: /^GENLOGIN 1$/,
    ours: 'FAILED\r\n',
    reason: 'a failed LOGIN does not rename the session (CM wire S1)',
  },
  {
    dialogue: /^server\/second-starttls$/,
    command: /^(STARTTLS|PING after)$/,
    ours: /^(FAILED|PONG after)\r\n$/,
    reason: 'a second STARTTLS is refused and the session goes on (CM wire 7.2)',
  },
  {
    dialogue: /^server\/unknown-type$/,
    command: /^STORE PROXY /,
    ours: 'FAILED\r\n',
    reason: 'nobody is logged in (CM wire S6)',
  },
  {
    dialogue: /^server\/unknown-type-login$/,
    command: /^GET SERVER 8f739c/,
    ours: 'NOT FOUND\r\n',
    reason: 'it was to come by the STORE PROXY of server/unknown-type',
  },
  {
    dialogue: /^server\/get-other-user$/,
    command: /^GET SERVER 1de5fb/,
    ours: 'NOT FOUND\r\n',
    reason: OTHERS_MAILBOX,
  },
  {
    dialogue: /^server\/dns-txt$/,
    command: /^DNS TXT cmsvr\.fresh/,
    ours: 'NOT FOUND\r\nPONG lost\r\n',
    reason: 'no command is lost while DNS is asked',
  },
  {
    dialogue: /^(server\/admin|replication\/replicated-admin)$/,
    command: /^GENLOGIN [12]$/,
    ours: /^([0-9A-F]{40}\r\n){1,2}EndBlock\r\n$/,
    reason: 'the keys are random (CM wire S10)',
  },
  {
    dialogue: /^server\/type-confusion$/,
    command: /^GET SERVER (890b39|d3dd17)/,
    ours: 'NOT FOUND\r\n',
    reason: `${OTHERS_MAILBOX}; that they all stay is in dialog/cm/type-confusion (CM wire S2, S5)`,
  },
  {
    dialogue: /^server\/selftest$/,
    command: /^SELFTEST$/,
    ours: 'PASS\r\nEndBlock\r\nPONG 1\r\nPONG 2\r\n',
    reason: 'answers come in the order of the commands',
  },
  {
    dialogue: /^server\/store-thread-death$/,
    command: /^SELFTEST$/,
    ours: 'PASS\r\nEndBlock\r\nDONE\r\n',
    reason: 'a block without Date does no harm (CM wire S3)',
  },
  {
    dialogue: /^server\/store-thread-death$/,
    command: /^GET SERVER 9d1c2d/,
    ours: /after the crash$/,
    reason: 'a block without Date does no harm (CM wire S3)',
  },
  { dialogue: /^client\/0[12]-/, command: /^STORE ENTANGLED /, ours: 'FAILED\r\n', reason: NO_DHT },
  { dialogue: /^client\/10-.*-004$/, command: /^GET ENTANGLED /, ours: 'NOT FOUND\r\n', reason: NO_DHT },
]

let server: TestCmServer

beforeAll(async () => {
  server = await startTestCmServer({
    nowMs: RECORDED_AT_MS,
    accounts: ACCOUNTS,
    // The servers of the recordings, this one among them, were on one machine.
    relay: { allowedHostPorts: () => ['127.0.0.1:18080', '127.0.0.1:18181'] },
    context: (context) => ({
      ...context,
      resolveTxt: async (name) => {
        const records = NAMES[name]
        return records === undefined ? { kind: 'none' } : { kind: 'records', records }
      },
      onShutdown: () => undefined,
    }),
  })
})

afterAll(() => server.close())

async function answerOf(client: WireClient, exchange: Exchange, number: number): Promise<string> {
  client.send(exchange.sent)
  if (exchange.then === 'closed') return client.closed()
  if (exchange.then === 'tls' || exchange.command === '') return `${await client.line()}\r\n`
  client.send(`PING sync-${number}\r\n`)
  return client.upTo(`PONG sync-${number}\r\n`)
}

/** Records in a set: their order is arbitrary (CM wire 2.4). Unknown headers of unsigned blocks are dropped (S5). */
function comparable(answer: string): string {
  if (!answer.startsWith('Type: message-announcement\r\n')) return answer
  const records = answer
    .replace(/X-Unknown: .*\r\n/g, '')
    .replace('EndBlock\r\n', '')
    .split('NextMessage\r\n')
  return records.toSorted((a, b) => (a < b ? -1 : 1)).join('NextMessage\r\n')
}

function isExpected(dialogue: string, exchange: Exchange, answer: string): boolean {
  if (comparable(answer) === comparable(exchange.answer)) return true
  return DIFFERENCES.some((difference) => {
    if (!difference.dialogue.test(dialogue) || !difference.command.test(exchange.command)) return false
    return typeof difference.ours === 'string' ? difference.ours === answer : difference.ours.test(answer)
  })
}

/** Plays one dialogue, or two that were recorded side by side, in the order of time. */
function replay(...dialogues: readonly string[]): Promise<string[]> {
  return replayOn(server.port, dialogues)
}

async function replayOn(port: number, dialogues: readonly string[]): Promise<string[]> {
  const wrong: string[] = []
  const clients = new Map<string, WireClient>()
  for (const dialogue of dialogues) clients.set(dialogue, await WireClient.connect(port))
  const exchanges = dialogues.flatMap((dialogue) =>
    readTranscript(`${dialogue}.txt`).map((exchange) => ({ dialogue, exchange })),
  )
  exchanges.sort((a, b) => timeOf(a) - timeOf(b))
  for (const [number, { dialogue, exchange }] of exchanges.entries()) {
    const client = clients.get(dialogue)!
    const answer = await answerOf(client, exchange, number)
    if (!isExpected(dialogue, exchange, answer)) {
      wrong.push(
        `${exchange.command}\n  recorded ${JSON.stringify(exchange.answer)}\n  ours ${JSON.stringify(answer)}`,
      )
    }
    if (exchange.then === 'tls') await client.startTls()
  }
  for (const client of clients.values()) client.destroy()
  return wrong
}

/** The second recorder of the pair started three milliseconds after the first. */
function timeOf({ dialogue, exchange }: { dialogue: string; exchange: Exchange }): number {
  return exchange.atSeconds - (dialogue === 'server/get-logged-in' ? 0.003 : 0)
}

describe('our CM server in the place of the reference', () => {
  it('answers server/get-anonymous and server/get-logged-in, recorded side by side', async () => {
    expect(await replay('server/get-anonymous', 'server/get-logged-in')).toEqual([])
  })

  it.each(SERVER_DIALOGUES)('answers server/%s as recorded, or as the table says', async (name) => {
    expect(await replay(`server/${name}`)).toEqual([])
  })

  it.each(REPLICATION_DIALOGUES)('answers replication/%s as recorded, or as the table says', async (name) => {
    expect(await replay(`replication/${name}`)).toEqual([])
  })

  it.each(['busy', 'busy-speaking'])('answers server/%s as recorded when it is full', async (name) => {
    const full = await startTestCmServer({ listen: { maxConnections: 0 } })
    try {
      expect(await replayOn(full.port, [`server/${name}`])).toEqual([])
    } finally {
      await full.close()
    }
  })

  it('has every recording replayed, or tested elsewhere', () => {
    const replayed = [
      ...SERVER_DIALOGUES.map((name) => `server/${name}`),
      ...REPLICATION_DIALOGUES.map((name) => `replication/${name}`),
      ...CLIENT_DIALOGUES.map((name) => `client/${name}`),
    ]
    const all = ['client', 'server', 'replication'].flatMap((folder) =>
      readdirSync(vectorPath(`transcripts/${folder}`)!)
        .filter((name) => name.endsWith('.txt'))
        .map((name) => `${folder}/${name.replace('.txt', '')}`),
    )
    expect([...replayed, ...Object.keys(ELSEWHERE)].toSorted()).toEqual(all.toSorted())
  })

  it.each(CLIENT_DIALOGUES)('serves the reference client in client/%s', async (name) => {
    expect(await replay(`client/${name}`)).toEqual([])
  })

  it('had no fault of its own in any of them', () => {
    expect(server.errors).toEqual([])
  })
})
