import { noArguments, tableCommand } from '../command.ts'

/**
 * IDLE (RFC 9051 6.3.13). News is pushed as it comes. Any line but DONE ends it with BAD and the session goes on
 * (design 11); a mailbox that is deleted meanwhile ends it too, and the session says BYE.
 */
export const idle = tableCommand({
  name: 'IDLE',
  states: ['authenticated', 'selected'],
  capabilities: [{ name: 'IDLE' }],
  parse: noArguments,
  async *run({ state, input, flush }) {
    yield { kind: 'continuation', text: 'idling' }
    await flush()
    const line = input.readLine()
    // Awaited below; until then a lost connection must not count as unhandled.
    line.catch(() => undefined)
    if (state.name === 'selected') {
      const { view, changes } = state.selected
      for (let isOver = false; !isOver && !view.isDeleted; ) {
        yield* view.flush({ expunges: 'told' })
        await flush()
        isOver = await Promise.race([line.then(() => true), changes.wait().then(() => false)])
      }
      if (view.isDeleted) return { status: 'OK', text: 'IDLE terminated' }
    }
    if ((await line).toUpperCase() !== 'DONE') return { status: 'BAD', text: 'Expected DONE' }
    return { status: 'OK', text: 'IDLE terminated' }
  },
})
