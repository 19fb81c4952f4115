import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Command } from 'commander'
import { diskUsage, totalBytes, type UsageLine } from '../cm/server/disk-usage.ts'
import { MissingBlocksError } from '../store/cm-blocks-database.ts'
import { CmBlocksUsage } from '../store/cm-blocks-usage.ts'
import { CliError, misuse } from './cli-error.ts'
import { type CliContext, type CommonFlags, dataDirectory } from './context.ts'

interface ReportFlags extends CommonFlags {
  readonly csv?: boolean
  readonly blockSize: string
}

/** Octets: what the reference rounds to (CM wire 9.8). */
const DEFAULT_BLOCK_BYTES = 512
const MAX_BLOCK_BYTES = 1024 * 1024

const COLUMNS = [
  'keyId',
  'totalBytes',
  'dataBlocks',
  'dataBytes',
  'sharedDataBytes',
  'messages',
  'announcements',
  'announcementBytes',
  'keyBytes',
  'claims',
  'claimBytes',
  'acknowledgments',
  'acknowledgmentBytes',
] as const

type ReportRow = UsageLine & { readonly totalBytes: number }

const EXPLANATION = `
Sizes are octets, each block rounded up to --block-size. dataBytes counts a data block for everybody it was announced
to; sharedDataBytes and totalBytes divide it among them. What belongs to nobody who is known (acknowledgments, data blocks
without an announcement) stands in the line without a key. It works while the server runs.`

/** `cmbridge cm-server report`: whose blocks take how much room (CM wire 9.8). */
export function registerCmServerReport(cmServer: Command, context: CliContext): void {
  cmServer
    .command('report')
    .description('show how much room the blocks of each key take')
    .option('--csv', 'with commas, for spreadsheets')
    .option('--block-size <octets>', 'unit of the file system', String(DEFAULT_BLOCK_BYTES))
    .addHelpText('after', EXPLANATION)
    .action((_flags: unknown, command: Command) => {
      const flags = command.optsWithGlobals<ReportFlags>()
      const blockBytes = Number(flags.blockSize)
      if (!Number.isInteger(blockBytes) || blockBytes < 1 || blockBytes > MAX_BLOCK_BYTES) {
        throw misuse(`--block-size ${flags.blockSize}: give a number of octets from 1 to ${MAX_BLOCK_BYTES}`)
      }
      const rows = withUsage(context, flags, (usage) =>
        diskUsage((type) => usage.rows(type), { blockBytes }).map((line) => ({
          ...line,
          totalBytes: totalBytes(line),
        })),
      )
      context.print(formatReport(rows, flags))
    })
}

/** Opens the blocks of the directory, or of the CM server inside it, for reading. Throws CliError. */
export function withUsage<Result>(
  context: CliContext,
  flags: CommonFlags,
  use: (usage: CmBlocksUsage) => Result,
): Result {
  const usage = openUsage(cmServerDirectory(context, flags))
  try {
    return use(usage)
  } finally {
    usage.close()
  }
}

function openUsage(directory: string): CmBlocksUsage {
  try {
    return new CmBlocksUsage(directory)
  } catch (error) {
    throw error instanceof MissingBlocksError ? new CliError(error.message) : error
  }
}

/** The server's directory: `--data` itself, or the one that `serve` keeps below it. */
export function cmServerDirectory(context: CliContext, flags: CommonFlags): string {
  const directory = dataDirectory(context, flags)
  const inside = join(directory, 'cm-server')
  return !existsSync(join(directory, 'blocks.db')) && existsSync(join(inside, 'blocks.db'))
    ? inside
    : directory
}

function formatReport(rows: readonly ReportRow[], flags: ReportFlags): string {
  if (flags.json === true) return `${JSON.stringify({ keys: rows, total: sumOf(rows) })}\n`
  const cells = [[...COLUMNS], ...rows.map(cellsOf), ...(flags.csv === true ? [] : [cellsOf(sumOf(rows))])]
  return flags.csv === true ? cells.map((row) => `${row.join(',')}\n`).join('') : inColumns(cells)
}

function cellsOf(row: ReportRow): string[] {
  return COLUMNS.map((column) => String(row[column]))
}

function sumOf(rows: readonly ReportRow[]): ReportRow {
  const sum = (column: Exclude<keyof ReportRow, 'keyId'>): number =>
    rows.reduce((total, row) => total + row[column], 0)
  const numbers = COLUMNS.filter((column) => column !== 'keyId').map(
    (column) => [column, sum(column)] as const,
  )
  return { keyId: 'total', ...(Object.fromEntries(numbers) as Omit<ReportRow, 'keyId'>) }
}

function inColumns(cells: readonly (readonly string[])[]): string {
  const widths = COLUMNS.map((_, column) => Math.max(...cells.map((row) => (row[column] ?? '').length)))
  const line = (row: readonly string[]): string =>
    row
      .map((cell, column) =>
        column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0),
      )
      .join('  ')
  return cells.map((row) => `${line(row)}\n`).join('')
}
