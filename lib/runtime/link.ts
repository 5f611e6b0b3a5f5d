// A worker's end of the connection to its manager: the JavaScript face of native/process/worker_link.h.

import { ManagerClosedError } from '../errors.js';
import { type NativeWorkerLink, native, WORKER_HEAD, WORKER_NO_TAG, WORKER_WAKE } from '../native.js';
import { CloseRequest } from '../task/manager.js';
import type { TaskPolicy } from '../task/policy.js';
import {
  checkFrameSize,
  DEFAULT_MAX_FRAME_BYTES,
  FRAME,
  HEADER_BYTES,
  LETTER_FIELDS,
  NUMBER_FIELDS,
  RESULT_FIELDS,
  SCHEDULE_FIELDS,
  TASK_FIELDS,
} from '../wire/frame.js';
import { BYTES_TAG, type ByteRange } from '../wire/payload.js';
import { getU32, putU32 } from '../wire/u32.js';
import { ownCodec, type TaskCodec } from './task-codec.js';

/** How a task ended, as in native/frame/frame.h. */
export const DONE_STATUS = { VALUE: 0, ERROR: 1, CANCELLED: 2 } as const;

/** A reader that takes nothing for so long, while this process exits, gets no more. */
const PATIENCE_MS = 1_000;

/** Any payload that is not large fits. */
const INPUT_BYTES = 64 * 1024;

/** Results above this are written from where they are. */
const LONG_BYTES = 64 * 1024;

const NOTHING = new Uint8Array(0);

/** How a task ended that a task here has scheduled. Its payload is `bytes` from `start` to `end`, and may be kept. */
export interface ForkResult {
  readonly number: number;
  readonly worker: number;
  readonly attempt: number;
  /** See RESULT_STATUS. */
  readonly status: number;
  /** It ran on another host. */
  readonly isForeign: boolean;
  readonly bytes: Buffer;
  readonly start: number;
  readonly end: number;
}

interface Receipt {
  readonly number: number;
  readonly resolve: () => void;
  readonly reject: (reason: Error) => void;
}

export class Link {
  /** Of the task that was begun last, see WORKER_HEAD. */
  readonly head = new Uint32Array(WORKER_HEAD.LENGTH);
  /** The payload of that task, unless it is a large one. */
  readonly input: Buffer = Buffer.allocUnsafeSlow(INPUT_BYTES);
  readonly #native: NativeWorkerLink;
  readonly #hello = new Uint8Array(8);
  readonly #schedule = new Uint8Array(SCHEDULE_FIELDS);
  readonly #number = new Uint8Array(NUMBER_FIELDS);
  /** Where the native side looks for short results. */
  #output: Uint8Array | undefined;
  #close: CloseRequest | undefined;
  #isGone = false;
  #flushQueued = false;
  #drained: (() => void) | undefined;
  #messages = 0;
  #receipts: Receipt[] = [];

  /** How values travel to the manager; known from its hello on. */
  codec: TaskCodec = ownCodec;
  /** The longest body that the manager accepts; likewise. */
  maxFrameBytes = DEFAULT_MAX_FRAME_BYTES;
  /** Called when there may be tasks to begin. */
  onTasks: () => void = () => {};
  /** Called with the sequence number of a task that is to stop, and why (see STOP_REASON). */
  onCancel: (sequence: number, reason: number) => void = () => {};
  /** Called with the results of tasks that were scheduled from here. */
  onResult: (result: ForkResult) => void = () => {};
  /** Called with what was sent to the task of this sequence number; it may not have begun. */
  onLetter: (sequence: number, letter: unknown) => void = () => {};
  /** Called with how far a task has come that was scheduled here. */
  onProgress: (number: number, value: unknown) => void = () => {};
  /** Called once, as soon as the manager asks this worker to finish or is gone. */
  onClose: (request: CloseRequest) => void = () => {};
  /** Called with the manager's hello. */
  onHello: (configuration: Uint8Array) => void = () => {};

  /** @param socket becomes this object's own. @param page of the status that is shared with the manager. */
  constructor(socket: number, page: number) {
    this.#native = native.openWorkerLink(socket, page, this.#wake, this.input, this.head);
  }

  get closing(): CloseRequest | undefined {
    return this.#close;
  }

  /**
   * Begins the next task: the length of its payload, WORKER_NOTHING or WORKER_LARGE.
   *
   * @param forkedOnly only one that another task waits for.
   */
  begin(lane: number, forkedOnly: boolean): number {
    return this.#native.begin(lane, forkedOnly ? 1 : 0);
  }

  /** The task in this lane has ended. */
  done(lane: number, status: number, payload: ByteRange): void {
    const { start, end } = payload;
    if (this.#isOutput(status, payload)) this.#native.done(lane, status, start, end);
    else this.#native.doneBytes(lane, status, payload.subarray(start, end), WORKER_NO_TAG);
  }

  /** `done`, then `begin` in the same lane. */
  next(lane: number, status: number, payload: ByteRange, forkedOnly: boolean): number {
    if (this.#isOutput(status, payload)) {
      return this.#native.next(lane, status, payload.start, payload.end, forkedOnly ? 1 : 0);
    }
    this.done(lane, status, payload);
    return this.begin(lane, forkedOnly);
  }

  /** `done` with a Buffer as the result, which is not copied if the system takes it at once. */
  doneBuffer(lane: number, status: number, buffer: Buffer): void {
    this.#native.doneBytes(lane, status, buffer, BYTES_TAG);
  }

  /** The task's own code begins now: how long it runs is counted from here. */
  restart(lane: number): void {
    this.#native.restart(lane);
  }

  /** The body of a task that was WORKER_LARGE: TASK_FIELDS bytes, then the payload. Nobody else has it. */
  takeLarge(): Buffer {
    return this.#native.takeLarge();
  }

  /** Has `head` say so when a payload begins like this; returns the place that it will name. */
  remember(prefix: Uint8Array): number {
    return this.#native.remember(prefix);
  }

  stopReason(sequence: number, lane: number): number {
    return this.#native.stopReason(sequence, lane);
  }

  hello(pid: number): void {
    putU32(this.#hello, 0, 1);
    putU32(this.#hello, 4, pid);
    this.#native.send(FRAME.HELLO, this.#hello, NOTHING);
    this.flush();
  }

  /** There is nothing to begin: flushes, and says so if the manager has taken tasks back. */
  rest(): void {
    this.#native.rest();
  }

  startFailed(error: Uint8Array): void {
    this.#native.send(FRAME.START_FAILED, NOTHING, error);
    this.flush();
  }

  /**
   * @param flags beside those of the policy, see native/dispatch/slab.h and SCHEDULE_AWAITED.
   * @param parent the sequence number of the task that schedules it; 0 when none does.
   * @throws FrameTooLargeError (ERR_BOSUN_FRAME_TOO_LARGE)
   */
  schedule(
    level: number,
    number: number,
    policy: TaskPolicy,
    flags: number,
    parent: number,
    payload: Uint8Array,
  ): void {
    checkFrameSize('the task', TASK_FIELDS + payload.byteLength, this.maxFrameBytes);
    const fields = this.#schedule;
    putU32(fields, 0, number);
    putU32(fields, 4, policy.timeoutMs);
    putU32(fields, 8, policy.deadlineMs);
    fields[12] = policy.maxRetries;
    fields[13] = policy.maxRetries >>> 8;
    fields[14] = policy.maxCrashes;
    fields[15] = policy.flags | flags;
    putU32(fields, 16, parent);
    this.#native.send(FRAME.SCHEDULE + level, fields, payload);
    this.#queueFlush();
  }

  /**
   * Of a task that was scheduled here: FRAME.AWAIT asks for its result, FRAME.CANCEL cancels it, FRAME.LETTER is for it. Of
   * one that runs here, by its sequence number: FRAME.PROGRESS.
   *
   * @throws FrameTooLargeError (ERR_BOSUN_FRAME_TOO_LARGE)
   */
  sendNumber(type: number, number: number, payload: Uint8Array = NOTHING): void {
    checkFrameSize('the message', NUMBER_FIELDS + payload.byteLength, this.maxFrameBytes);
    putU32(this.#number, 0, number);
    this.#native.send(type, this.#number, payload);
    this.#queueFlush();
  }

  /** Resolves when the manager has accepted it. @throws FrameTooLargeError (ERR_BOSUN_FRAME_TOO_LARGE) */
  message(payload: Uint8Array): Promise<void> {
    checkFrameSize('the message', payload.byteLength, this.maxFrameBytes);
    if (this.#isGone) return Promise.reject(new ManagerClosedError('the manager is gone'));
    this.#native.send(FRAME.MESSAGE, NOTHING, payload);
    this.#queueFlush();
    this.#messages = (this.#messages + 1) >>> 0;
    const number = this.#messages;
    const accepted = new Promise<void>((resolve, reject) => {
      this.#receipts.push({ number, resolve, reject });
    });
    // Not every sender waits; a manager that goes away is no unhandled rejection of theirs.
    accepted.catch(() => {});
    return accepted;
  }

  /** Writes what has been collected, as far as the system takes it; the rest follows. */
  flush(): boolean {
    return this.#native.flush() === 1;
  }

  /** The last chance of a process that is about to exit: what tasks have finished and sent must not go with it. */
  flushSync(): void {
    this.#native.flushFully(PATIENCE_MS);
  }

  /** Resolves when the system has taken everything, or the manager is gone. */
  async end(): Promise<void> {
    if (this.flush() || this.#isGone) return;
    await new Promise<void>((resolve) => {
      this.#drained = resolve;
    });
  }

  /** Ends the connection; `end` first. */
  close(): void {
    this.#native.close();
  }

  /** Whether the native side can find it by its range alone. Results mostly lie in the same memory, failures do not. */
  #isOutput(status: number, payload: ByteRange): boolean {
    if (payload === this.#output) return payload.end - payload.start <= LONG_BYTES;
    if (status !== DONE_STATUS.VALUE || payload.end - payload.start > LONG_BYTES) return false;
    this.#output = payload;
    this.#native.setOutput(payload);
    return true;
  }

  readonly #wake = (what: number): void => {
    if ((what & WORKER_WAKE.CONTROL) !== 0) this.#readControl(this.#native.takeControl());
    if ((what & WORKER_WAKE.ENDED) !== 0) {
      this.#isGone = true;
      this.#requestClose(new CloseRequest(true));
    }
    if ((what & (WORKER_WAKE.DRAINED | WORKER_WAKE.ENDED)) !== 0) this.#drained?.();
    if ((what & WORKER_WAKE.TASKS) !== 0) this.onTasks();
  };

  #readControl(bytes: Buffer): void {
    for (let at = 0; at < bytes.length; ) {
      const start = at + HEADER_BYTES;
      const end = start + getU32(bytes, at + 1) + getU32(bytes, at + 5) * 2 ** 32;
      this.#take(bytes[at] as number, bytes, start, end);
      at = end;
    }
  }

  #take(type: number, bytes: Buffer, start: number, end: number): void {
    switch (type) {
      case FRAME.ACCEPTED:
        this.#accept(getU32(bytes, start));
        break;
      case FRAME.CANCEL:
        this.onCancel(getU32(bytes, start), bytes[start + 4] as number);
        break;
      case FRAME.LETTER:
        this.onLetter(getU32(bytes, start), this.#received(bytes, start, end));
        break;
      case FRAME.PROGRESS:
        this.onProgress(getU32(bytes, start), this.#received(bytes, start, end));
        break;
      case FRAME.RESULT:
        this.onResult({
          number: getU32(bytes, start),
          worker: getU32(bytes, start + 4),
          attempt: (bytes[start + 8] as number) | ((bytes[start + 9] as number) << 8),
          status: bytes[start + 10] as number,
          isForeign: bytes[start + 11] === 1,
          bytes,
          start: start + RESULT_FIELDS,
          end,
        });
        break;
      case FRAME.CLOSE:
        this.#requestClose(new CloseRequest(bytes[start] === 1));
        break;
      case FRAME.HELLO:
        this.onHello(bytes.subarray(start, end));
        break;
      default:
        // A newer manager may say more than this worker understands; nothing of it concerns a task.
        break;
    }
  }

  /** What cannot be read here is the error that says so, in its place. */
  #received(bytes: Buffer, start: number, end: number): unknown {
    try {
      return this.codec.received(bytes, start + LETTER_FIELDS, end, bytes[start + NUMBER_FIELDS] === 1);
    } catch (error) {
      return error;
    }
  }

  #accept(upTo: number): void {
    let count = 0;
    // The numbers wrap at 2^32; a difference does not.
    while (count < this.#receipts.length && ((upTo - (this.#receipts[count] as Receipt).number) | 0) >= 0) count++;
    for (const receipt of this.#receipts.splice(0, count)) receipt.resolve();
  }

  #requestClose(request: CloseRequest): void {
    if (this.#isGone) {
      const gone = new ManagerClosedError('the manager is gone');
      for (const receipt of this.#receipts.splice(0)) receipt.reject(gone);
    }
    if (this.#close === undefined || (request.abort && !this.#close.abort)) {
      this.#close = request;
      this.onClose(request);
    }
  }

  /** Messages and schedules of a task that awaits something leave in the next microtask, not at its end. */
  #queueFlush(): void {
    if (this.#flushQueued) return;
    this.#flushQueued = true;
    queueMicrotask(() => {
      this.#flushQueued = false;
      this.flush();
    });
  }
}
