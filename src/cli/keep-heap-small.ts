import { setFlagsFromString } from 'node:v8'

/** Percent the heap may grow beyond what is alive before it is collected; V8's own choice is up to 300. */
const HEAP_GROWTH_PERCENT = 20

/**
 * Collects garbage sooner. What a thousand connections wait for outlives the young generation; left to itself, V8 lets
 * the heap grow to several times of what is alive (with 1,000 connections 460 MiB instead of 380, for some 5 % CPU).
 */
export function keepHeapSmall(): void {
  setFlagsFromString(`--heap-growing-percent=${HEAP_GROWTH_PERCENT}`)
}
