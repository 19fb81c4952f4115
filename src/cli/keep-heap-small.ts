import { setFlagsFromString } from 'node:v8'

/** Percent the heap may grow beyond what is alive before it is collected; V8's own choice is up to 300. */
const HEAP_GROWTH_PERCENT = 50
/** The young generation stays as large as it became until now: what a thousand connections hold would double it twice. */
const YOUNG_GROWTH_FACTOR = 1

/**
 * Collects garbage sooner. What a thousand connections wait for outlives the young generation; left to itself, V8 lets
 * the heap grow to several times of what is alive (1,000 connections that store: 460 MiB of memory instead of 310). Less
 * growth than this saves a few MiB for a sixth more processor time.
 */
export function keepHeapSmall(): void {
  setFlagsFromString(`--heap-growing-percent=${HEAP_GROWTH_PERCENT}`)
  setFlagsFromString(`--semi-space-growth-factor=${YOUNG_GROWTH_FACTOR}`)
}
