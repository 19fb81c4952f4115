/**
 * What goes over `control.sock`: one JSON line asks, one JSON line answers, then the connection ends. Only the owner
 * reaches the socket (its directory is 0700).
 */
export interface ControlRequest {
  /** E.g. `account add`. */
  readonly verb: string
  readonly args: unknown
}

export type ControlAnswer =
  | { readonly kind: 'ok'; readonly result: unknown }
  /** `message` is one line for the user. */
  | { readonly kind: 'failed'; readonly message: string; readonly exitCode: number }

/** A verb that writes: plain data in, plain data out; throws CliError for what the user must hear. */
export type ControlVerb = (args: unknown) => Promise<unknown>

export type ControlVerbs = Readonly<Record<string, ControlVerb>>

/** Octets of one line: an imported account's tokens (1 MiB at most), its secret keys (1 MiB) and room. */
export const MAX_CONTROL_LINE_BYTES = 4 * 1024 * 1024
/** Milliseconds a connection may be silent; making a large key or asking a slow server stays below. */
export const CONTROL_IDLE_MS = 120_000

export function controlSocketPath(runDirectory: string): string {
  return `${runDirectory}/control.sock`
}
