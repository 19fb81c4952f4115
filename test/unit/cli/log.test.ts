import { describe, expect, it } from 'vitest'
import { Secret } from '../../../src/base/secret.ts'
import { createLog } from '../../../src/cli/log.ts'

function logged(
  settings: Parameters<typeof createLog>[0],
  write: (log: ReturnType<typeof createLog>) => void,
) {
  const lines: string[] = []
  write(createLog(settings, (line) => lines.push(line)))
  return lines
}

describe('the log', () => {
  it('leaves people out below debug', () => {
    const fields = { row: 'om1', address: 'bob@example.net', subject: 'secret plans', keyId: '22'.repeat(20) }
    const info = logged({ level: 'info', format: 'json' }, (log) => log.child(fields).info(fields, 'posted'))
    expect(JSON.parse(info[0] ?? '')).toMatchObject({ level: 'info', row: 'om1', msg: 'posted' })
    expect(info[0]).not.toMatch(/bob|plans|2222/)
    const debug = logged({ level: 'debug', format: 'json' }, (log) => log.debug(fields, 'posted'))
    expect(debug[0]).toContain('bob@example.net')
  })

  it('prints no secret at any level', () => {
    const lines = logged({ level: 'debug', format: 'json' }, (log) =>
      log.debug({ key: new Secret('s3cret') }, 'x'),
    )
    expect(lines[0]).toContain('[redacted]')
    expect(lines[0]).not.toContain('s3cret')
  })

  it('is one readable line in text, with the stack of its cause below', () => {
    const lines = logged({ level: 'info', format: 'text' }, (log) => {
      log.child({ part: 'queue' }).warn({ cause: 'gone away', job: 'om1-post-2' }, 'Redis is away')
      log.error({ cause: new Error('broken') }, 'a job failed')
      log.debug({}, 'not shown')
    })
    expect(lines).toHaveLength(2)
    expect(lines[0]).toMatch(
      /^\d{4}-\S+Z warn {2}queue: Redis is away {2}cause="gone away" {2}job=om1-post-2\n$/,
    )
    expect(lines[1]).toMatch(/Z error a job failed\n {2}Error: broken\n {6}at /)
  })
})
