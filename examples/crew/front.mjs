// What the guests see: POST a note, GET the last twenty.

import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { text } from 'node:stream/consumers';
import { Doer } from 'bosun';
import { Asker } from './ask.mjs';

const MOST_BYTES = 10_000;

export class Front extends Doer {
  #port;
  #crewer;
  #asker;
  #server = createServer((request, response) => {
    this.#serve(request, response).catch((error) => {
      this.#crewer.logger.error(error);
      response.writeHead(503).end(`${error.message}\n`);
    });
  });

  /** @param {{ port: number }} options @param {import('bosun').Crewer} crewer */
  constructor({ port }, crewer) {
    super({ tock: Number.POSITIVE_INFINITY });
    this.#port = port;
    this.#crewer = crewer;
    this.#asker = new Asker(crewer);
  }

  /** @override */
  async enter() {
    this.#server.listen(this.#port, '127.0.0.1');
    await once(this.#server, 'listening', { signal: this.signal });
  }

  /** @override */
  exit() {
    this.#server.close();
    this.#server.closeIdleConnections();
  }

  /** @param {import('node:http').IncomingMessage} request @param {import('node:http').ServerResponse} response */
  async #serve(request, response) {
    if (request.method === 'POST') {
      if (Number(request.headers['content-length'] ?? MOST_BYTES + 1) > MOST_BYTES) {
        response.writeHead(413).end('too long\n');
        return;
      }
      const html = await this.#asker.ask('printer', { text: await text(request) });
      const note = { id: randomUUID(), at: Date.now(), html };
      await this.#asker.ask('store', { what: 'add', note });
      response.writeHead(201).end();
    } else {
      const notes = await this.#asker.ask('store', { what: 'last' });
      response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' });
      response.end(notes.map((/** @type {string} */ html) => `<p>${html}</p>\n`).join(''));
    }
  }
}
