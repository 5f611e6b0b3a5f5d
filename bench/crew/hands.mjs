// The hands that measure: one asks, the other answers.

import { Doer } from '../../dist/lib/index.js';

export class Player extends Doer {
  #crewer;

  /** @param {object} _options @param {import('../../dist/lib/index.js').Crewer} crewer */
  constructor(_options, crewer) {
    super({ tock: Number.POSITIVE_INFINITY });
    this.#crewer = crewer;
    crewer.on('memo', ({ name, memo }) => {
      const { text } = memo;
      if (text.startsWith('ask ')) void this.#ask(Number(text.slice(4)));
      else if (text.startsWith('ping')) void crewer.send(name, `pong${text.slice(4)}`);
    });
  }

  /** @param {number} count */
  async #ask(count) {
    const times = [];
    for (let i = 0; i < count; i++) {
      const begun = process.hrtime.bigint();
      const answer = new Promise((resolve) => this.#crewer.once('memo', resolve));
      await this.#crewer.send('other', `ping ${i} of a memo that has forty bytes`);
      await answer;
      times.push(Number(process.hrtime.bigint() - begun));
    }
    await this.#crewer.send('boss', JSON.stringify(times));
  }
}
