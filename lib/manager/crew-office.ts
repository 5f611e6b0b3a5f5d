// The manager of a crew, and the door by which its hands come and go. For lib/crew; no part of the public interface.

import { CancellationError, InvalidArgumentError } from '../errors.js';
import { checkKnown, ownOptions } from '../own-options.js';
import type { Engine } from './engine.js';
import { HandNames } from './hand-names.js';
import { checkManagerOptions, type ManagerSettings, type ProcessManagerOptions } from './options.js';
import { ProcessManager } from './process-manager.js';
import type { Seat } from './seat.js';

const KNOWN = [
  'priorityLevels',
  'prefetch',
  'spin',
  'inboxHighWaterMark',
  'messages',
  'throwOnError',
  'maxFrameBytes',
  'grace',
  'concurrency',
  'timeout',
  'deadline',
  'retry',
  'maxQueue',
  'whenFull',
  'signal',
] as const satisfies (keyof ProcessManagerOptions)[];

/** Options of a crew's manager: those of a ProcessManager that do not say how its workers are started, or where. */
export type CrewManagerOptions = Pick<ProcessManagerOptions, (typeof KNOWN)[number]>;

export interface CrewOffice {
  /**
   * Starts no process of its own, and tasks wait however long nobody is there. `close()` ends connections, not hands: only
   * one with a task that goes on with what it was asked to stop, or that runs at a KILL, is sent signals.
   */
  readonly manager: ProcessManager;
  /**
   * Opens a connection for the hand of that name, one at a time for each name: not before the last one is `gone`.
   *
   * @throws InvalidArgumentError for a name that was never expected, or that has a connection; ManagerClosedError; the
   * system's error when there are no descriptors left.
   */
  open(name: string): Seat;
  /**
   * The hand will not come back: tasks that wait for it, or run there for it by name, end CANCELLED (CancellationError with
   * `reason` as its cause); `to` with its name throws InvalidArgumentError from now on.
   */
  giveUp(name: string, reason: Error): void;
  /** It may come (again). */
  expect(name: string): void;
  /** Cancels the tasks that were scheduled to it by name and have not ended, likewise. */
  cancelTasksOf(name: string, reason: Error): void;
}

/**
 * @param names of the hands that may come.
 * @throws InvalidArgumentError, OutOfRangeError for bad options, and the reason of a `signal` that is aborted already.
 */
export function openCrewOffice(names: Iterable<string>, options: CrewManagerOptions = {}): CrewOffice {
  const known = new HandNames();
  for (const name of names) known.expect(name);
  const seats = new Map<string, Seat>();
  let engine!: Engine;
  const manager = new ProcessManager(checkCrewOptions(options), known, (opened) => {
    engine = opened;
  });
  const cancelTasksOf = (name: string, reason: Error) => {
    const why = `the task was for hand ${JSON.stringify(name)}: ${reason.message}`;
    engine.cancelAt(known.at(name), () => new CancellationError(why, { cause: reason }));
  };
  return {
    manager,
    cancelTasksOf,
    expect: (name) => known.expect(name),
    giveUp: (name, reason) => {
      known.giveUp(name);
      cancelTasksOf(name, reason);
    },
    open: (name) => {
      if (seats.has(name))
        throw new InvalidArgumentError(`hand ${JSON.stringify(name)} has a connection: await its end`);
      const seat = engine.seat({ name, place: known.at(name) });
      seats.set(name, seat);
      void seat.gone.then(() => seats.delete(name));
      return seat;
    },
  };
}

function checkCrewOptions(given: CrewManagerOptions): ManagerSettings {
  const options = ownOptions(given, "the options of a crew's manager");
  checkKnown(options, KNOWN, "a crew's manager");
  return { ...checkManagerOptions(options), workers: 0, minWorkers: 0 };
}
