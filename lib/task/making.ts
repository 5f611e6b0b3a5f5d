// A graph of tasks on its way to its end: what may begin is begun, and what has ended lets others begin.

import { CancellationError, FSMError } from '../errors.js';
import { ranksOf } from './critical-path.js';
import { inOrder } from './graph-order.js';
import { friends } from './graph-task.js';
import { type Here, here, hereAlone } from './here.js';
import type { DispatchQueue, MakeSettings } from './make-options.js';
import type { Manager } from './manager.js';
import type { Outcome } from './outcome.js';
import { fateOf } from './readiness.js';
import { LevelQueue, RankQueue, type Ready, type ReadyQueue } from './ready-queue.js';
import { isPortable } from './spec.js';
import { submit } from './submit.js';
import { launch, type Task } from './task.js';
import { isEnding, isOver } from './task-life.js';
import type { TaskEvent } from './task-states.js';

/** Tasks that are begun before the event loop gets its turn. */
const SLICE = 256;

const DEFAULT_LEVEL = 1;

/** A task that is made. */
interface Node extends Ready {
  readonly task: Task;
  readonly key: string | undefined;
  /** It was asked for, and has not been told of. */
  isAwaited: boolean;
  rank: number;
  /** Those that it requires and that have not ended. */
  waits: number;
  /** Those that wait for it. */
  dependents: Node[];
  /** Somebody has queued it, or runs it. */
  isActive: boolean;
  /** It was begun from here. */
  isBegun: boolean;
  isOver: boolean;
}

export class Making {
  readonly #settings: MakeSettings;
  readonly #here: Here;
  readonly #order: readonly Task[];
  readonly #requested: ReadonlySet<Task>;
  readonly #nodes = new Map<Task, Node>();
  readonly #ready: ReadyQueue<Node>;
  /** Of each key the one that is run, or was. */
  readonly #leaders = new Map<string, Node>();
  /** By keys, those that take its outcome. */
  readonly #copies = new Map<string, Node[]>();
  /** Not looked at yet. */
  #undecided: Node[] = [];
  #ended: Node[] = [];
  /** Requested ones that have ended, for whoever asks. */
  #outbox: Task[] = [];
  #left = 0;
  #active = 0;
  #isFull = false;
  #isQueued = false;
  #budget = SLICE;
  #isOver = false;
  #failure: { readonly error: unknown } | undefined;
  #tell: () => void = () => {};

  /**
   * @throws FSMError (ERR_BOSUN_FSM) for a task in PREPARE, CycleError (ERR_BOSUN_CYCLE), and the reason of a signal that is
   * aborted. Nothing has changed then.
   */
  constructor(tasks: readonly Task[], settings: MakeSettings) {
    settings.signal?.throwIfAborted();
    this.#settings = settings;
    this.#here = settings.manager === undefined ? hereAlone() : here(settings.manager);
    this.#requested = new Set(tasks);
    this.#order = inOrder(tasks, needs);
    const unready = this.#order.find(({ state }) => state === 'PREPARE');
    if (unready !== undefined) {
      throw new FSMError(`cannot make a PREPARE task: '${unready.name}'`, { state: 'PREPARE', allowed: ['prepared'] });
    }
    this.#ready = settings.criticalPath ? new RankQueue() : new LevelQueue();
  }

  /** The requested tasks, each when it has ended. @throws what stopped it. */
  async *run(): AsyncGenerator<Task, void, undefined> {
    this.#start();
    try {
      while (!this.#isOver || this.#outbox.length > 0) {
        const batch = this.#outbox;
        this.#outbox = [];
        yield* batch;
        if (!this.#isOver && this.#outbox.length === 0) await this.#news();
      }
      if (this.#failure !== undefined) throw this.#failure.error;
    } finally {
      this.#end();
    }
  }

  #start(): void {
    const ranks = this.#settings.criticalPath ? ranksOf(this.#order, this.#settings.durations) : undefined;
    for (const task of this.#order) this.#add(task).rank = ranks?.get(task) ?? 0;
    this.#left = this.#requested.size;
    this.#settings.signal?.addEventListener('abort', this.#onAbort);
    this.#pump();
  }

  #add(task: Task): Node {
    const { key, priority = DEFAULT_LEVEL } = friends.optionsOf(task);
    const node: Node = {
      task,
      key,
      isAwaited: this.#requested.has(task),
      level: priority,
      rank: 0,
      waits: 0,
      dependents: [],
      isActive: false,
      isBegun: false,
      isOver: false,
    };
    this.#nodes.set(task, node);
    friends.follow(task, this.#follower);
    const { state } = task;
    if (isOver(state)) this.#noteEnd(node);
    else if (state === 'PENDING') this.#undecided.push(node);
    else if (state !== 'PREPARE') this.#activate(node);
    return node;
  }

  #news(): Promise<void> {
    return new Promise((resolve) => {
      this.#tell = resolve;
    });
  }

  #end(): void {
    this.#isOver = true;
    this.#settings.signal?.removeEventListener('abort', this.#onAbort);
    for (const task of this.#nodes.keys()) friends.unfollow(task, this.#follower);
    this.#nodes.clear();
    this.#tell();
  }

  #fail(error: unknown): void {
    this.#failure = { error };
    this.#end();
  }

  readonly #onAbort = (): void => {
    const { reason } = this.#settings.signal as AbortSignal;
    const begun = [...this.#nodes.values()].filter((node) => node.isBegun && !node.isOver);
    this.#fail(reason);
    for (const { task } of begun) task.cancel(reason);
  };

  // ---- what happens to tasks ------------------------------------------------------

  readonly #follower = (task: Task, event: TaskEvent): void => {
    const node = this.#nodes.get(task);
    if (node === undefined) return;
    if (isEnding(event)) this.#noteEnd(node);
    else if (event === 'queue' || event === 'dispatch') this.#activate(node);
    else if (event === 'prepared') this.#undecided.push(node);
    this.#wake();
  };

  #activate(node: Node): void {
    if (node.isActive) return;
    node.isActive = true;
    this.#active += 1;
    // A manager inside a task tells only who asks.
    friends.want(node.task);
  }

  #noteEnd(node: Node): void {
    if (node.isActive) this.#active -= 1;
    node.isActive = false;
    // It may have been aborted behind its end.
    if (!node.isOver) this.#ended.push(node);
    node.isOver = true;
  }

  /** What is to be done is done behind the code that has made it so: callbacks of tasks come first. */
  #wake(): void {
    if (this.#isQueued || this.#isOver) return;
    this.#isQueued = true;
    if (this.#budget > 0) {
      queueMicrotask(this.#pump);
    } else {
      setImmediate(() => {
        this.#budget = SLICE;
        this.#pump();
      });
    }
  }

  readonly #pump = (): void => {
    this.#isQueued = false;
    try {
      this.#goOn();
    } catch (error) {
      // Whoever stores states elsewhere may throw.
      this.#fail(error);
    }
  };

  #goOn(): void {
    while (!this.#isOver && this.#ended.length + this.#undecided.length > 0) this.#settleAll();
    while (!this.#isOver && !this.#isFull && this.#active < this.#settings.concurrency) {
      if (this.#budget <= 0) break;
      const node = this.#ready.shift();
      if (node === undefined) break;
      this.#begin(node);
    }
    if (this.#outbox.length > 0) this.#tell();
    if (this.#isOver) return;
    if (this.#left === 0) this.#end();
    else if (this.#ended.length + this.#undecided.length > 0 || this.#budget <= 0) this.#wake();
    else if (this.#active === 0 && this.#ready.size === 0) this.#giveUp();
  }

  #settleAll(): void {
    const ended = this.#ended;
    this.#ended = [];
    for (const node of ended) if (!this.#isOver) this.#settle(node);
    const undecided = this.#undecided;
    this.#undecided = [];
    for (const node of undecided) if (!this.#isOver) this.#decide(node);
  }

  /** Nothing runs and nothing can: since it began, tasks have come to require each other, or one that is in PREPARE. */
  #giveUp(): void {
    try {
      inOrder([...this.#requested], needs);
      this.#fail(new FSMError('cannot make tasks that require one in PREPARE', { state: 'PREPARE' }));
    } catch (error) {
      this.#fail(error);
    }
  }

  #settle(node: Node): void {
    const { task, key } = node;
    if (!isOver(task.state)) {
      // Whoever was told that it failed has retried it.
      this.#revive(node);
      return;
    }
    if (key !== undefined) this.#settleKey(key, node);
    if (node.isAwaited) {
      node.isAwaited = false;
      this.#left -= 1;
      this.#outbox.push(task);
    }
    for (const dependent of node.dependents.splice(0)) {
      dependent.waits -= 1;
      if (dependent.waits === 0) this.#undecided.push(dependent);
    }
    if (this.#settings.failFast && task.state !== 'DONE') this.#end();
  }

  #revive(node: Node): void {
    node.isOver = false;
    node.isBegun = false;
    if (node.task.state === 'PENDING') this.#undecided.push(node);
    else this.#activate(node);
  }

  /** Waits for what it requires, begins, or ends as that has. */
  #decide(node: Node): void {
    const { task } = node;
    if (task.state !== 'PENDING' || node.waits > 0) return;
    for (const required of needs(task)) this.#await(node, required);
    if (node.waits > 0) return;
    const fate = fateOf(task);
    if (fate === undefined) this.#ready.push(node);
    else task.fire(fate.event, fate.extra);
  }

  #await(node: Node, required: Task): void {
    const other = this.#nodes.get(required) ?? this.#add(required);
    // Retried, behind its end.
    if (other.isOver) this.#revive(other);
    other.dependents.push(node);
    node.waits += 1;
  }

  // ---- how tasks begin ------------------------------------------------------------

  #begin(node: Node): void {
    const { task, key } = node;
    // Somebody else may have been quicker, or have said that it requires one more.
    if (task.state !== 'PENDING') return;
    if (task.isBlocked()) {
      this.#undecided.push(node);
      return;
    }
    if (key !== undefined && this.#isCopy(key, node)) return;
    this.#budget -= 1;
    node.isBegun = true;
    const { manager, enqueue } = this.#settings;
    if (enqueue !== undefined) enqueueTask(task, enqueue);
    else if (manager !== undefined && isPortable(task)) this.#schedule(node, manager);
    else launch(task, this.#here);
  }

  #schedule(node: Node, manager: Manager): void {
    const room = submit(node.task, manager);
    if (room === undefined) return;
    this.#isFull = true;
    this.#ready.push(node);
    void room.then(() => {
      this.#isFull = false;
      this.#wake();
    });
  }

  // ---- keys -----------------------------------------------------------------------

  /** Whether another one with this key has the work to do. */
  #isCopy(key: string, node: Node): boolean {
    const leader = this.#leaders.get(key);
    if (leader === undefined || leader === node) {
      this.#leaders.set(key, node);
      return false;
    }
    if (leader.isOver) {
      this.#copy(leader, node);
      return true;
    }
    const copies = this.#copies.get(key);
    if (copies === undefined) this.#copies.set(key, [node]);
    else copies.push(node);
    return true;
  }

  #settleKey(key: string, node: Node): void {
    // One that was done before.
    if (node.task.state === 'DONE' && !this.#leaders.has(key)) this.#leaders.set(key, node);
    if (this.#leaders.get(key) !== node) return;
    const copies = this.#copies.get(key) ?? [];
    this.#copies.delete(key);
    for (const copy of copies) this.#copy(node, copy);
  }

  #copy(leader: Node, { task }: Node): void {
    if (task.state !== 'PENDING') return;
    const outcome = friends.outcomeOf(leader.task) as Outcome;
    if ('error' in outcome && outcome.cancelled === true) {
      task.fire('cancel', { reason: outcome.error });
      return;
    }
    const run = { drop: undefined };
    friends.hold(task, run);
    friends.begin(task, run, 'dispatch');
    friends.ended(task, run, outcome);
  }
}

/** What is to be made before a task; nothing, if something that it requires has failed or is cancelled. */
function needs(task: Task): readonly Task[] {
  const needed: Task[] = [];
  if (task.state !== 'PENDING') return needed;
  for (const required of friends.requiredOf(task)) {
    const { state } = required;
    if (!isOver(state)) needed.push(required);
    else if (state !== 'DONE') return [];
  }
  return needed;
}

function enqueueTask(task: Task, enqueue: DispatchQueue): void {
  task.fire('queue');
  const refuse = (cause: unknown): void => {
    if (task.state !== 'QUEUED') return;
    task.cancel(new CancellationError(`task '${task.name}' was not taken by its queue`, { cause }));
  };
  try {
    Promise.resolve(enqueue(task)).catch(refuse);
  } catch (error) {
    refuse(error);
  }
}
