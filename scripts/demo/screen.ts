/** What the demo prints. */

let stepNumber = 0

export function step(text: string): void {
  stepNumber += 1
  console.log(`\n${stepNumber}. ${text}`)
}

export function show(lines: readonly string[]): void {
  for (const line of lines) console.log(`     ${line}`)
}

/** Prints what holds, throws what does not. */
export function check(holds: boolean, what: string): void {
  if (!holds) throw new Error(`not as it should be: ${what}`)
  console.log(`   ok: ${what}`)
}
