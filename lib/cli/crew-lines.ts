// What becomes of the hands of a crew, a line for each event.

import type { Boss } from '../crew/boss.js';
import type { Hand, HandExit } from '../crew/hand.js';
import { endText } from '../crew/hand-text.js';
import type { View } from './job.js';

export class CrewLines implements View {
  readonly shown = true;
  readonly #boss: Boss;

  constructor(boss: Boss) {
    this.#boss = boss;
    boss.on('handRegistered', this.#onRegistered).on('crewed', this.#onCrewed).on('handExit', this.#onExit);
  }

  stop(): void {
    this.#boss.off('handRegistered', this.#onRegistered).off('crewed', this.#onCrewed).off('handExit', this.#onExit);
  }

  readonly #onRegistered = ({ name, pid, restarts }: Hand): void => {
    this.#say(`${name} is there, process ${pid}${restarts === 0 ? '' : `, restart ${restarts}`}`);
  };

  readonly #onCrewed = (): void => this.#say(`all ${this.#boss.crew.size} of the crew are there`);

  readonly #onExit = (exit: HandExit): void => {
    this.#say(`${endText(exit)}${exit.restarting ? '; it is started again' : ''}`);
  };

  #say(text: string): void {
    process.stderr.write(`bosun: ${text}\n`);
  }
}
