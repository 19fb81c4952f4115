/** What a measurement says and how it is shown. There is no pass and no fail: machines differ, ratios less so. */

export interface Row {
  /** What was measured. */
  readonly what: string
  readonly value: number
  readonly unit: string
  /** The value set beside another one of this run. */
  readonly ratio?: { readonly of: number; readonly to: string }
}

/** One thing that can be measured by itself (`BENCH=name`). */
export interface Bench {
  readonly name: string
  run(): Promise<readonly Row[]>
}

/** On standard error, so that the table alone can be kept. */
export function progress(text: string): void {
  process.stderr.write(`bench: ${text}\n`)
}

/** Milliseconds that something took, with its result. */
export async function timed<Result>(
  work: () => Promise<Result>,
): Promise<{ readonly elapsedMs: number; readonly result: Result }> {
  const startedAt = performance.now()
  const result = await work()
  return { elapsedMs: performance.now() - startedAt, result }
}

/** The table of one bench, numbers aligned to the right. */
export function formatTable(name: string, rows: readonly Row[]): string {
  const cells = rows.map(({ what, value, unit, ratio }) => ({
    what,
    value: formatNumber(value),
    unit,
    ratio: ratio === undefined ? '' : `${ratio.of.toFixed(2)} × ${ratio.to}`,
  }))
  const width = (column: keyof (typeof cells)[number]): number =>
    Math.max(...cells.map((cell) => cell[column].length))
  const lines = cells.map((cell) =>
    [
      `  ${cell.what.padEnd(width('what'))}`,
      cell.value.padStart(width('value')),
      cell.unit.padEnd(width('unit')),
      cell.ratio,
    ]
      .join('  ')
      .trimEnd(),
  )
  return [name, ...lines, ''].join('\n')
}

/** Three digits that mean something. */
function formatNumber(value: number): string {
  if (value >= 100) return Math.round(value).toLocaleString('en')
  return value.toPrecision(3)
}
