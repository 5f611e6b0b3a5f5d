// What a boss and the process of a hand know of each other.

import type { CrewLoadOptions } from './crew-load.js';
import type { BossAddress } from './crewer.js';

/** What a hand is started with. */
export interface HandStart {
  /** As of `CrewLoad.toJSON`. */
  readonly load: CrewLoadOptions;
  readonly boss: BossAddress;
  readonly directory: string;
  readonly hasLogFile: boolean;
  /** Seconds between two signs of life; 0 for none. */
  readonly beatEvery: number;
}

/** Of the memory that a Worker's process shares with its owner; the first word is the Worker's own. */
export const BEATS_WORD = 1;

/** What a hand says when its Doist is over: it takes no more tasks, and ends behind those that it has. */
export const LEAVING = 'leaving';
