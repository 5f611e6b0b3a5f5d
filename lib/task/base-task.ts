// A task whose state may be stored elsewhere.

import { checkKnown, ownOptions } from '../own-options.js';
import { FSM } from './fsm.js';
import { MachineKind } from './machine-kind.js';
import { RunState } from './run-state.js';
import { TASK_TRANSITIONS, type TaskEvent, type TaskState } from './task-states.js';
import type { TransitionExtra } from './transitions.js';

/** Options of a BaseTask. */
export interface BaseTaskOptions {
  /** The first state; none unless given. */
  readonly state?: TaskState | null;
  /** Whether transitions are kept; false unless given. */
  readonly history?: boolean;
}

/** The machine of a task: tasks of one kind share it. */
export type TaskKind = MachineKind<TaskState, TaskEvent>;

/** @throws InvalidArgumentError (ERR_BOSUN_INVALID_ARGUMENT) */
export function taskKind({ state = null, history = false }: BaseTaskOptions): TaskKind {
  return new MachineKind<TaskState, TaskEvent>({ transitions: TASK_TRANSITIONS, state, history });
}

/**
 * The states of a task without anything that runs. It has no state to begin with: a subclass whose state is a column of a
 * database, or a field of something else, overrides `state` and `store`.
 *
 * @example
 * class Row extends BaseTask {
 *   constructor(readonly row) { super(); }
 *   override get state() { return this.row.state; }
 *   protected override store(state) { this.row.state = state; }
 * }
 */
export class BaseTask extends FSM<TaskState, TaskEvent> {
  #runState: RunState | undefined;

  /** @throws InvalidArgumentError (ERR_BOSUN_INVALID_ARGUMENT) */
  constructor(options: BaseTaskOptions | TaskKind = {}) {
    super(options instanceof MachineKind ? options : taskKind(checkOptions(options)));
  }

  /** Follows the runs of the task: RUNNING while that is, STOPPED when it has ended. Made when it is first asked for. */
  get runState(): RunState {
    if (this.#runState === undefined) {
      this.#runState = new RunState();
      if (this.state === 'RUNNING') this.#runState.start();
    }
    return this.#runState;
  }

  /** The one that somebody has asked for already. */
  protected get usedRunState(): RunState | undefined {
    return this.#runState;
  }

  protected override moved(event: TaskEvent, _extra: TransitionExtra): void {
    const runState = this.#runState;
    if (runState === undefined) return;
    // Whoever has it may have started or stopped it himself.
    const follow = event === 'dispatch' ? 'start' : 'stop';
    if (runState.isAllowed(follow)) runState.fire(follow);
  }
}

function checkOptions(options: BaseTaskOptions): BaseTaskOptions {
  const given = ownOptions(options, 'the options of a task');
  checkKnown(given, ['state', 'history'], 'a BaseTask');
  return given;
}
