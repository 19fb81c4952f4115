import type { CmSession } from '../cm/client/cm-session.ts'
import { describeFailures } from '../cm/client/describe-failures.ts'
import {
  type ServerAttempt,
  type ServerFailure,
  type ServersRequest,
  withServers,
} from '../cm/client/with-servers.ts'

/** One thing that is wanted of a server; it keeps the answer itself. */
export interface Question {
  /** For people, in `status`; unique in a list. */
  readonly name: string
  /**
   * `refused`: this server does not do it; `missing`: it does not have it; another one may. `stop`: nothing more is to
   * be asked. Throws CmProtocolError.
   */
  ask(session: CmSession): Promise<'answered' | 'refused' | 'missing' | 'stop'>
}

/** What became of all questions together. */
export interface AskOutcome {
  /** One line for people: what was not answered and why; undefined when everything was, or nothing more is wanted. */
  readonly complaint: string | undefined
  /** At least one question was answered. */
  readonly isHeard: boolean
  /** Every question that is open was put to a server that answers others: waiting helps no more than asking later. */
  readonly isComplete: boolean
}

/** Times one question is put to one server: the first connection may have been a kept one that was dead already. */
const MAX_TRIES = 2
/** Questions in a row that break the connection: then it is the server, and each costs a time-out. */
const MAX_BROKEN_IN_A_ROW = 3
/** Questions without an answer that are named in a complaint. */
const MAX_NAMED = 5

/**
 * Asks the servers of a place until each question has an answer: the first that works gets them all, what it leaves
 * goes to the next (CM wire 8.6). A question that breaks the connection, a mailbox jammed by a record in it, is left out
 * and the rest is asked on a new one (S5).
 */
export async function askServers(
  request: ServersRequest,
  questions: readonly Question[],
): Promise<AskOutcome> {
  const asking = new Asking(questions)
  for (;;) {
    const before = asking.asked
    const outcome = await withServers(request, (session) => asking.ask(session))
    if (outcome.kind === 'done') return { complaint: undefined, isHeard: true, isComplete: true }
    if (asking.asked === before) return asking.outcome(outcome.failures)
  }
}

class Asking {
  readonly #open: Map<string, Question>
  /** How often each question was put, by `host:port`. */
  readonly #tries = new Map<string, Map<string, number>>()
  readonly #brokenInARow = new Map<string, number>()
  readonly #answering = new Set<string>()
  /** Questions that went out, each time. */
  asked = 0

  constructor(questions: readonly Question[]) {
    this.#open = new Map(questions.map((question) => [question.name, question]))
  }

  async ask(session: CmSession): Promise<ServerAttempt<void>> {
    const { hostPort } = session
    let reason: ServerFailure['reason'] = 'malformed-reply'
    for (const question of [...this.#open.values()]) {
      if (!this.#mayAsk(hostPort, question.name)) continue
      this.#noteAsked(hostPort, question.name)
      const answer = await question.ask(session)
      if (answer === 'stop') return { kind: 'done', value: undefined }
      this.#brokenInARow.set(hostPort, 0)
      this.#answering.add(hostPort)
      if (answer === 'answered') {
        this.#open.delete(question.name)
        continue
      }
      this.#triesAt(hostPort).set(question.name, MAX_TRIES)
      reason = answer === 'missing' ? 'not-found' : 'refused'
    }
    return this.#open.size === 0 ? { kind: 'done', value: undefined } : { kind: 'next', reason }
  }

  #mayAsk(hostPort: string, name: string): boolean {
    const tries = this.#triesAt(hostPort).get(name) ?? 0
    return tries < MAX_TRIES && (this.#brokenInARow.get(hostPort) ?? 0) < MAX_BROKEN_IN_A_ROW
  }

  /** Before it goes out: a question that breaks the connection does not come back here. */
  #noteAsked(hostPort: string, name: string): void {
    this.asked += 1
    const tries = this.#triesAt(hostPort)
    tries.set(name, (tries.get(name) ?? 0) + 1)
    this.#brokenInARow.set(hostPort, (this.#brokenInARow.get(hostPort) ?? 0) + 1)
  }

  #triesAt(hostPort: string): Map<string, number> {
    const tries = this.#tries.get(hostPort) ?? new Map<string, number>()
    this.#tries.set(hostPort, tries)
    return tries
  }

  outcome(failures: readonly ServerFailure[]): AskOutcome {
    const names = [...this.#open.keys()]
    const isHeard = this.#answering.size > 0
    const listed = [...names.slice(0, MAX_NAMED), ...(names.length > MAX_NAMED ? ['…'] : [])].join(', ')
    const complaint = `${describeFailures(failures)}${isHeard ? `: ${listed}` : ''}`
    return { complaint, isHeard, isComplete: isHeard && names.every((name) => this.#isTriedOut(name)) }
  }

  #isTriedOut(name: string): boolean {
    return [...this.#answering].some((server) => (this.#tries.get(server)?.get(name) ?? 0) >= MAX_TRIES)
  }
}
