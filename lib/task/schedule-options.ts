// Options of `schedule`, as they are given.

import { InvalidArgumentError } from '../errors.js';
import { checkKnown, ownOptions } from '../own-options.js';
import type { ScheduleOptions } from './manager.js';

const NONE: ScheduleOptions = {};

/** @throws InvalidArgumentError (ERR_BOSUN_INVALID_ARGUMENT) for an option that there is not. */
export function scheduleOptions(given: number | ScheduleOptions | undefined): ScheduleOptions {
  if (given === undefined) return NONE;
  if (typeof given !== 'object') return { priority: given };
  const options = ownOptions(given, 'the options of schedule');
  checkKnown(options, ['priority', 'to'], 'schedule');
  return options;
}

/** The priority in them, for managers whose workers have no names. @throws InvalidArgumentError (ERR_BOSUN_INVALID_ARGUMENT) */
export function priorityIn(given: number | ScheduleOptions | undefined): number | undefined {
  const options = scheduleOptions(given);
  refuseTo(options);
  return options.priority;
}

/** For managers whose workers have no names. @throws InvalidArgumentError (ERR_BOSUN_INVALID_ARGUMENT) */
export function refuseTo({ to }: ScheduleOptions): void {
  if (to === undefined) return;
  throw new InvalidArgumentError(
    `'to' is for the owner of a crew's manager: nobody here is called ${JSON.stringify(to)}. Leave it out`,
  );
}
