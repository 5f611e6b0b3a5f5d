// What the addon gives to JavaScript.

import { loadNative } from './load-native.js';

/** Frames cut anywhere, see native/frame/decoder.h. Use the FrameDecoder of wire/frame.ts. */
export interface NativeFrameDecoder {
  /** Fills `table` with (type, offset, length) for each frame that the chunk completes; -1: a frame is too large. */
  push(chunk: Uint8Array, table: Uint32Array): number;
  /** The body of the frame whose offset is ASSEMBLED. */
  takeAssembled(): Buffer;
  /** The length that was refused. */
  declared(): number;
  atBoundary(): boolean;
}

/** The offset of a frame that had been cut: its body is not inside the chunk. */
export const ASSEMBLED = 0xffffffff;

/** The worker's end of its connection, see native/process/worker_link.h. Calls after `close` do nothing. */
export interface NativeWorkerLink {
  /**
   * Begins the next task that was not taken back, in a lane of the status page that is free: fills `head` (WORKER_HEAD) and
   * returns the length of its payload, which lies in `input`; or WORKER_NOTHING, or WORKER_LARGE.
   *
   * @param forkedOnly 1: only a task that another one waits for.
   */
  begin(lane: number, forkedOnly: 0 | 1): number;
  /** The task in the lane has ended (see DONE_STATUS); its result is that range of what `setOutput` was given last. */
  done(lane: number, status: number, start: number, end: number): void;
  /** `done`, then `begin` in the same lane. */
  next(lane: number, status: number, start: number, end: number, forkedOnly: 0 | 1): number;
  /** `done` with other bytes, and `tag` before them unless it is WORKER_NO_TAG. Long ones are written from where they are. */
  doneBytes(lane: number, status: number, payload: Uint8Array, tag: number): void;
  setOutput(bytes: Uint8Array): void;
  /** The task's own code begins now. */
  restart(lane: number): void;
  /** The body of the task that `begin` called large: TASK_FIELDS bytes and the payload, its own memory. */
  takeLarge(): Buffer;
  /** Frames from the manager that are no tasks, whole. */
  takeControl(): Buffer;
  send(type: number, fields: Uint8Array, payload: Uint8Array): void;
  /** Nothing to begin: says so if tasks were taken back, and flushes. 1 when everything was written. */
  rest(): number;
  /** Writes what the system takes; 1 when nothing is left. The rest follows when there is room. */
  flush(): number;
  /** Waits for room, for a process that ends; 0 when none came for so long. */
  flushFully(patienceMs: number): number;
  /** Is this task to stop, and why (see STOP_REASON)? Known before any frame about it can be read. */
  stopReason(sequence: number, lane: number): number;
  /** The place of these bytes in the list of what payloads begin with; whatever was there before is forgotten. */
  remember(prefix: Uint8Array): number;
  close(): void;
}

/** Tasks that a worker has begun and not ended, as in native/process/status_page.h. */
export const MAX_LANES = 2048;

/** What `begin` returns instead of a length. */
export const WORKER_NOTHING = -1;
export const WORKER_LARGE = -2;

export const WORKER_NO_TAG = 256;

/** The places in a worker link's `head`. */
export const WORKER_HEAD = {
  SEQUENCE: 0,
  ATTEMPT: 1,
  FLAGS: 2,
  ID_LOW: 3,
  ID_HIGH: 4,
  /** What the payload begins with, as `remember` said; WORKER_NO_PREFIX for anything else. */
  PREFIX: 5,
  PREFIX_BYTES: 6,
  /** Of the task that ended last, in microseconds. */
  RUN_US: 7,
  /** Frames that were given and not flushed; a thread may have written them. */
  HELD: 8,
  LENGTH: 9,
} as const;

export const WORKER_NO_PREFIX = 0xffffffff;

/** What a worker link wakes for, as bits. */
export const WORKER_WAKE = { TASKS: 1, CONTROL: 2, ENDED: 4, DRAINED: 8 } as const;

/** The manager's side of a worker's status page where the manager is on another host, see native/process/host_page.h. */
export interface NativeHostPage {
  /** A task with this number is on its way to the worker. */
  sent(sequence: number): void;
  /** It is to stop; `lanes` are as many as the worker runs at once. */
  stop(sequence: number, lanes: number, reason: number): void;
  /** Every task is. */
  close(): void;
}

/** Ends this process and those that it started when the other end of the pipe is closed; see native/process. */
export interface NativeParentGuard {
  /** This process ends by itself now. */
  release(): void;
}

/** The state machine of a manager, see native/dispatch/dispatcher.h. */
export interface NativeDispatcher {
  /** Records that begin at multiples of 8. */
  submit(records: Uint8Array): void;
  /** One record whose payload lies elsewhere. */
  submitLong(fields: Uint8Array, payload: Uint8Array): void;
  cancel(ticket: number): number;
  /** Of the tasks of this place that have not ended, in no particular order. */
  ticketsAt(place: number): number[];
  /** For the task, when it runs; false when there is no such task. */
  sendTo(ticket: number, letter: Uint8Array): boolean;
  /** What becomes of a task that was lost, see LostOutcome in native/dispatch/dispatcher.h. */
  judgeLost(slot: number, dropped: boolean): number;
  /** True when its failure has a place in the inbox. @param error for a task that waits for it. */
  settleLost(slot: number, outcome: number, error: Uint8Array): boolean;
  retry(slot: number, delayMs: number): boolean;
  /** A connection for a peer that has been let in; 0 when there are too many. */
  openForeign(worker: number): number;
  /** A connection for a worker on another host, likewise. */
  openRemote(worker: number): number;
  /** Local workers will come when tasks wait for them. */
  expectLocal(on: boolean): void;
  /** The limits of tasks that peers schedule. */
  setForeignPolicy(timeoutMs: number, deadlineMs: number, maxRetries: number, maxCrashes: number, flags: number): void;
  suspend(connection: number, suspended: boolean): void;
  /**
   * @param isNative it is driven natively, and `parentSocket` is nobody's: -1.
   * @param place of which it runs the tasks, beside those that any worker may; 0 for none.
   */
  open(
    worker: number,
    isNative: boolean,
    place: number,
  ): [connection: number, childEnd: number, page: number, childLifeline: number, parentSocket: number];
  /** Ends a connection; a record says so. Of one that is driven natively all that is there is read before. */
  detach(connection: number): void;
  /** The worker of this connection ends now, if it has not yet. */
  hangUp(connection: number): void;
  /** Ends the I/O thread and every connection; the counts can still be read. */
  close(): void;
  sendHello(connection: number, configuration: Uint8Array): void;
  sendClose(connection: number, abort: boolean): void;
  /** Of a connection that is not driven natively. */
  receive(connection: number, chunk: Uint8Array): void;
  worker(connection: number, figures: Float64Array): boolean;
  /**
   * Sends what can be sent. @param write is called with what is to be written to connections that are not driven natively.
   * @returns milliseconds until the next turn is due at the latest; -1 when none is.
   */
  turn(write: (connection: number, bytes: Buffer) => void): number;
  drop(): void;
  post(message: Uint8Array): void;
  acknowledgeAll(): void;
  discardMessages(): void;
  reportAll(on: boolean): void;
  drainCompletions(target: Uint8Array): number;
  /** The payload of the next of the drained records whose kind says that it is attached; the Buffer owns it. */
  takeAttached(): Buffer;
  drainInbox(target: Uint8Array): number;
  readCounts(target: Float64Array): void;
  readTallies(target: Float64Array): void;
  readLatency(target: Float64Array, reset: boolean): void;
}

/** What `readTallies` writes for each level, in this order. */
export const TALLY = ['accepted', 'waiting', 'sent', 'held', 'done', 'failed', 'cancelled'] as const;

/** What `readCounts` writes, in this order. */
export const COUNTS = [
  ...TALLY,
  'recalled',
  'retried',
  'fresh',
  'messages',
  'discarded',
  'inbox',
  'inboxBytes',
] as const;

/** Everything that the addon exports. */
export interface Native {
  readonly Dispatcher: new (
    /** Called when there is something to read, or a turn is due. */
    wake: () => void,
    /** Without it an I/O thread moves all bytes, see native/io/driver.h. */
    direct: boolean,
    levels: number,
    maxFrameBytes: number,
    prefetch: number,
    inboxMark: number,
    concurrency: number,
    graceMs: number,
    maxQueue: number,
    /** Workers spin while fewer of them are busy. */
    cores: number,
    /** For tasks, when one that waits for another keeps its own; 0: it gives it up meanwhile. */
    places: number,
  ) => NativeDispatcher;
  readonly FrameDecoder: new (maxFrameBytes: number) => NativeFrameDecoder;
  /** @param memory of `openLink`. */
  readonly HostPage: new (
    memory: number,
  ) => NativeHostPage;
  readonly ParentGuard: new (lifeline: number) => NativeParentGuard;
  /** For descriptors that the addon has opened. */
  closeDescriptor(descriptor: number): void;
  /** Another one for the same. @throws the system's error when there are none left. */
  duplicate(descriptor: number): number;
  /** A TCP connection ends when what was sent is not acknowledged for so long. */
  giveUpAfter(descriptor: number, ms: number): void;
  /** A child of this thread: when the thread ends without having seen its exit, the process is told to reap it. */
  expectChild(pid: number): void;
  forgetChild(pid: number): void;
  /** A file or a folder that goes when this thread ends, even if it is terminated. */
  expectPath(path: string): void;
  forgetPath(path: string): void;
  /** For the standard error of a child. @throws the system's error when there are no descriptors left. */
  openPipe(): [readEnd: number, writeEnd: number];
  /**
   * For a child that is no worker of a dispatcher. It lives no longer than the lifeline, which is closed when nothing holds
   * the object any more, or this thread ends.
   *
   * @throws the system's error when there are no descriptors left.
   */
  openLink(): [parentSocket: number, childEnd: number, memory: number, childLifeline: number, parentLifeline: object];
  /** A datagram socket at a path where nothing is, the caller's; or the negative errno. @param buffer bytes, each way. */
  bindDatagram(path: string, buffer: number): number;
  /** One that is writable when there is room at that path; likewise. */
  connectDatagram(path: string): number;
  /** 0, or the negative errno. */
  sendDatagram(descriptor: number, bytes: Uint8Array, path: string): number;
  /** Through `memory`, which has MAX_DATAGRAM bytes; or the negative errno. */
  receiveDatagram(descriptor: number, memory: Uint8Array): ReceivedDatagram | number;
  /** A stream socket, or that of datagrams, is what a descriptor of it is, but on Windows, where it is none. */
  closeSocket(socket: number): void;
  /** Nothing more is sent, and the other end is told so. */
  endSocket(socket: number): void;
  /** Takes over the descriptor of a socket that this process has inherited. @throws the system's error. */
  toSocket(descriptor: number): number;
  /** How many bytes were taken; 0 when there is no room, -1 when nobody is there. */
  sendSome(socket: number, bytes: Uint8Array): number;
  /** How many bytes were there, as many as fit; 0 for none, -1 when there will be none. */
  receiveSome(socket: number, memory: Uint8Array): number;
  /** Calls back while the socket is ready (see SOCKET_READY). Keeps the process up unless it is told not to. */
  watchSocket(socket: number, events: number, callback: (events: number) => void): NativeWatch | undefined;
  /** 64 bytes that are shared with whoever has mapped the same memory. */
  mapShared(memory: number): ArrayBuffer;
  /**
   * The descriptor, of a socket, becomes its own, the page may be closed afterwards. Keeps the process alive until it is
   * closed or ends.
   */
  openWorkerLink(
    descriptor: number,
    page: number,
    wake: (what: number) => void,
    input: Uint8Array,
    head: Uint32Array,
  ): NativeWorkerLink;
  /** A priority queue that any thread of this process can use by its handle, a number; 0 when the table is full. */
  queueOpen(levels: number): number;
  /** @throws TypeError (ERR_BOSUN_STALE_HANDLE) for a closed one, as `queuePop` does. */
  queuePush(handle: number, level: number, value: number): void;
  /** level * 2^32 + value of the most urgent entry, or -1 when the queue is empty. */
  queuePop(handle: number): number;
  /** False when it is closed already. */
  queueClose(handle: number): boolean;
}

/** What the system says of its sender, which nobody can forge; -1 where it says nothing. */
export type ReceivedDatagram = [bytes: Buffer, source: string, pid: number, uid: number];

/** Of a datagram, in bytes. */
export const MAX_DATAGRAM = 65_535;

/** What a socket can be ready for, as bits. */
export const SOCKET_READY = { DATA: 1, ROOM: 2 } as const;

export interface NativeWatch {
  /** For what it is called back from now on. */
  await(events: number): void;
  /** Before the socket is closed. */
  close(): void;
  hold(on: boolean): void;
}

/** The addon of this process. */
export const native = loadNative() as Native;

/** Those that the addon has opened. */
export function closeDescriptors(descriptors: readonly number[]): void {
  for (const descriptor of descriptors) native.closeDescriptor(descriptor);
}
