import type { TableCommand } from '../command.ts'
import { append } from './append.ts'
import { authenticate } from './authenticate.ts'
import { capability } from './capability.ts'
import { check } from './check.ts'
import { close } from './close.ts'
import { copy } from './copy.ts'
import { create } from './create.ts'
import { deleteCommand } from './delete.ts'
import { enable } from './enable.ts'
import { examine } from './examine.ts'
import { expunge } from './expunge.ts'
import { fetch } from './fetch.ts'
import { id } from './id.ts'
import { idle } from './idle.ts'
import { list } from './list.ts'
import { login } from './login.ts'
import { logout } from './logout.ts'
import { lsub } from './lsub.ts'
import { move } from './move.ts'
import { namespace } from './namespace.ts'
import { noop } from './noop.ts'
import { rename } from './rename.ts'
import { search } from './search.ts'
import { select } from './select.ts'
import { starttls } from './starttls.ts'
import { status } from './status.ts'
import { store } from './store.ts'
import { subscribe } from './subscribe.ts'
import { unselect } from './unselect.ts'
import { unsubscribe } from './unsubscribe.ts'

/** Every command there is. The capability list is derived from it, in this order. */
export const COMMANDS: readonly TableCommand[] = [
  capability,
  noop,
  logout,
  id,
  starttls,
  authenticate,
  login,
  enable,
  idle,
  namespace,
  append,
  unselect,
  move,
  list,
  lsub,
  select,
  examine,
  create,
  deleteCommand,
  rename,
  subscribe,
  unsubscribe,
  status,
  check,
  close,
  expunge,
  search,
  fetch,
  store,
  copy,
]

const BY_NAME: ReadonlyMap<string, TableCommand> = new Map(COMMANDS.map((command) => [command.name, command]))

/** The command of that name, in capitals. */
export function commandNamed(name: string): TableCommand | undefined {
  return BY_NAME.get(name)
}
