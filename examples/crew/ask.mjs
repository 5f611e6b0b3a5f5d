// Questions and answers between hands. A hand may die with a question that it was asked: so who asks says it again until there
// is an answer, and who answers may be asked twice.

import { randomUUID } from 'node:crypto';

const AGAIN_MS = 200;
const PATIENCE_MS = 10_000;

/** @typedef {import('bosun').Crewer} Crewer */

/** For one hand that asks. */
export class Asker {
  #crewer;
  /** @type {Map<string, (answer: any) => void>} */
  #open = new Map();

  /** @param {Crewer} crewer */
  constructor(crewer) {
    this.#crewer = crewer;
    crewer.on('memo', ({ memo }) => {
      const { id, answer } = JSON.parse(memo.text);
      this.#open.get(id)?.(answer);
    });
  }

  /** @param {string} name @param {object} question @returns {Promise<any>} */
  async ask(name, question) {
    const id = randomUUID();
    const text = JSON.stringify({ id, ...question });
    // Nobody is there while a hand is being started again.
    const say = () => this.#crewer.send(name, text).catch(() => {});
    const repeat = setInterval(say, AGAIN_MS);
    /** @type {NodeJS.Timeout | undefined} */
    let late;
    try {
      return await new Promise((resolve, reject) => {
        this.#open.set(id, resolve);
        late = setTimeout(() => reject(new Error(`${name} does not answer`)), PATIENCE_MS);
        void say();
      });
    } finally {
      clearInterval(repeat);
      clearTimeout(late);
      this.#open.delete(id);
    }
  }
}

/** For one that answers. @param {Crewer} crewer @param {(question: any) => unknown} answer */
export function answerWith(crewer, answer) {
  crewer.on('memo', async ({ name, memo }) => {
    const question = JSON.parse(memo.text);
    const text = JSON.stringify({ id: question.id, answer: await answer(question) });
    // Who has asked may be gone; he asks again.
    await crewer.send(name, text).catch(() => {});
  });
}
