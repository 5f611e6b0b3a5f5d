// Keeps the notes.

import { Doer } from 'bosun';
import { answerWith } from './ask.mjs';
import { openDatabase } from './database.mjs';

export class Store extends Doer {
  #file;
  #crewer;
  /** @type {import('./database.mjs').Database | undefined} */
  #database;

  /** @param {{ file: string }} options @param {import('bosun').Crewer} crewer */
  constructor({ file }, crewer) {
    super({ tock: Number.POSITIVE_INFINITY });
    this.#file = file;
    this.#crewer = crewer;
  }

  /** @override */
  async enter() {
    const database = await openDatabase(this.#file);
    this.#database = database;
    database.exec('PRAGMA journal_mode = WAL');
    database.exec('CREATE TABLE IF NOT EXISTS notes (id TEXT PRIMARY KEY, at INTEGER, html TEXT)');
    const add = database.prepare('INSERT OR IGNORE INTO notes VALUES (?, ?, ?)');
    const last = database.prepare('SELECT html FROM notes ORDER BY at DESC, rowid DESC LIMIT 20');
    answerWith(this.#crewer, ({ what, note }) => {
      if (what === 'last') return last.all().map(({ html }) => html);
      // It may have come before: the answer was lost, not the note.
      add.run(note.id, note.at, note.html);
      return true;
    });
  }

  /** @override */
  exit() {
    this.#database?.close();
  }
}
