// A guest book of three processes. `bosun crew examples/crew/crew.mjs`, then
//
//   curl -d 'Hello *all*' localhost:8080
//   curl localhost:8080
//
// and kill -9 any of them.

import { tmpdir } from 'node:os';
import { join } from 'node:path';

const crewer = { module: 'bosun', export: 'Crewer' };

/** @param {string} file @param {string} name @param {Record<string, unknown>} [options] */
const doer = (file, name, options = {}) => ({ module: import.meta.resolve(file), export: name, options });

const { PORT = '8080', GUEST_BOOK = join(tmpdir(), 'guest-book.sqlite') } = process.env;

/** They end the other way round: nobody asks a store that is gone. @type {import('bosun').CrewLoadOptions[]} */
export default [
  { name: 'store', doers: [crewer, doer('./store.mjs', 'Store', { file: GUEST_BOOK })] },
  { name: 'printer', doers: [crewer, doer('./printer.mjs', 'Printer')] },
  { name: 'front', doers: [crewer, doer('./front.mjs', 'Front', { port: Number(PORT) })] },
];
