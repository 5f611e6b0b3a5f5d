// Tasks as payloads.

import { encodePayload } from '../wire/payload.js';
import type { Prerequisite } from './prerequisites.js';
import type { TaskSpec } from './spec.js';

/**
 * The payload of a task; valid until the next call, as all payloads.
 *
 * @throws DataCloneError (ERR_BOSUN_DATA_CLONE) that names the argument or the field that cannot travel.
 */
export function encodeSpec(spec: TaskSpec): Uint8Array {
  try {
    return encodePayload(spec);
  } catch (error) {
    // Once more, by the part that the user gave: a path through our own array would mean nothing to anybody.
    explain(spec);
    throw error;
  }
}

function explain(spec: TaskSpec): void {
  if (spec[0] === 's') spec[2].forEach(explain);
  else if (spec[0] === 'w') explainEquipped(spec[2], spec[4]);
  else encodePayload(spec[4], spec[0] === 'f' ? 'args' : spec[1]);
}

function explainEquipped(task: TaskSpec, prerequisites: readonly Prerequisite[]): void {
  explain(task);
  for (const [name, , value] of prerequisites) encodePayload(value, `the result of '${name}'`);
}
