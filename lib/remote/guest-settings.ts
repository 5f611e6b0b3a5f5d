// What a guest is told by its server, and by its client.

import type { AllowList } from '../task/allow-list.js';
import type { Contexts } from './contexts.js';

/** One that another connection is about. */
export interface Neighbour {
  readonly gone: Promise<void>;
  /** Its client is not there any more. */
  hangUp(): void;
}

export interface GuestSettings {
  readonly allowList: AllowList;
  readonly contexts: Contexts;
  /** Of clients on other hosts, by what their lifelines call them. */
  readonly lifelines: Map<string, Neighbour>;
  /** No more processes. */
  readonly isFull: () => boolean;
  readonly maxFrameBytes: number;
  /** A client does what no client of ours does, or wants what it must not have. */
  readonly refused: (address: string, reason: string) => void;
  /** Milliseconds that a client may take to say what it wants. */
  readonly handshakeTimeout: number;
  /** What workers print goes nowhere. */
  readonly suppressChildren: boolean;
  /** Ends the server for a client; undefined when no client may. */
  readonly close: (() => void) | undefined;
  /** What happens, for whoever watches. */
  readonly log: (line: string) => void;
  /** Milliseconds that a target may take to stop when its client is gone, or its server ends. */
  readonly grace: number;
}

/** The part of a client's first message that is decoded; it may say anything. */
export interface Given {
  readonly module?: unknown;
  readonly context?: unknown;
  readonly id?: unknown;
  readonly lifeline?: unknown;
}
