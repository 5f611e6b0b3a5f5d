// Micro benchmarks: the queue, the codec, one crossing, serialization, each beside a plain rival. npm run bench

import { cpus } from 'node:os';
import { deserialize, serialize } from 'node:v8';
import { Packr } from 'msgpackr';
import { Bench } from 'tinybench';
import { encodeFrame, FrameDecoder } from '../lib/index.js';
import { decodePayload, encodePayload, native } from '../lib/internals.js';
import { BucketQueue } from './bucket-queue.js';

const ITEMS = 1000;
const LEVELS = 128;
const REPEAT = 100;

/** One run is long against the clock: what takes nanoseconds is repeated inside it, and divided by `perRun`. */
async function group(name: string, perRun: number, add: (bench: Bench) => void): Promise<void> {
  const bench = new Bench({ name, time: 300, warmupTime: 100 });
  add(bench);
  await bench.run();
  console.log(`\n${name}`);
  console.table(
    bench.tasks.map((task) => {
      const { result } = task;
      if (!('latency' in result)) return { name: task.name, failed: String('error' in result && result.error) };
      const ns = (result.latency.p50 * 1e6) / perRun;
      return { name: task.name, 'ns, median': Math.round(ns), 'M/s': Number((1e3 / ns).toFixed(2)) };
    }),
  );
}

console.log(`${cpus()[0]?.model}, ${cpus().length} cores, Node.js ${process.version}`);

const queue = native.queueOpen(LEVELS);
const bucket = new BucketQueue(LEVELS);
await group(`Priority queue: push and pop of one item, ${ITEMS} items over ${LEVELS} levels`, ITEMS, (bench) =>
  bench
    .add('native, a crossing for each operation', () => {
      for (let i = 0; i < ITEMS; i++) native.queuePush(queue, (i * 7) % LEVELS, i);
      while (native.queuePop(queue) !== -1);
    })
    .add('plain JavaScript buckets', () => {
      for (let i = 0; i < ITEMS; i++) bucket.push((i * 7) % LEVELS, i);
      while (bucket.pop() !== undefined);
    }),
);
native.queueClose(queue);

const small = { i: 1, s: 'x' };
const body = Uint8Array.from(encodePayload(small));
const frames = Buffer.concat(Array.from({ length: ITEMS }, () => encodeFrame(0x74, body)));
const line = Buffer.from(JSON.stringify(small));
const prefixed = Buffer.concat(
  Array.from({ length: ITEMS }, () => {
    const length = Buffer.alloc(4);
    length.writeUInt32LE(line.byteLength);
    return Buffer.concat([length, line]);
  }),
);
await group(`Codec: ${ITEMS} frames of {i, s} in one chunk, per frame`, ITEMS, (bench) =>
  bench
    .add('FrameDecoder', () => {
      new FrameDecoder().push(frames);
    })
    .add('FrameDecoder and payloads', () => {
      for (const { payload } of new FrameDecoder().push(frames)) decodePayload(payload);
    })
    .add('JSON with a length prefix', () => {
      for (let at = 0; at < prefixed.byteLength; ) {
        const end = at + 4 + prefixed.readUInt32LE(at);
        JSON.parse(prefixed.toString('latin1', at + 4, end));
        at = end;
      }
    }),
);

const decoder = new native.FrameDecoder(1024);
const nothing = new Uint8Array(0);
const table = new Uint32Array(3);
await group('One crossing', ITEMS, (bench) =>
  bench
    .add('native: two arrays in, a number out', () => {
      for (let i = 0; i < ITEMS; i++) decoder.push(nothing, table);
    })
    .add('native: a boolean out', () => {
      for (let i = 0; i < ITEMS; i++) decoder.atBoundary();
    }),
);

const packr = new Packr({ useRecords: false });
const values: [string, unknown][] = [
  ['{i, s}', small],
  ['a task', ['f', 'resize', 'file:///app/work.js', 'resize', [{ file: 'a.png', width: 100 }]]],
  [
    '10 fields',
    Object.fromEntries(Array.from({ length: 10 }, (_, i) => [`field${i}`, i % 2 === 0 ? i * 1.5 : `v${i}`])),
  ],
  ['a Map in an object', { map: new Map([[1, 'a']]) }],
];
for (const [name, value] of values) {
  const contestants: [string, () => unknown][] = [
    ['payload', () => decodePayload(encodePayload(value))],
    ['msgpackr alone', () => packr.unpack(packr.pack(value))],
    ['JSON', () => JSON.parse(Buffer.from(JSON.stringify(value)).toString())],
    ['node:v8', () => deserialize(serialize(value))],
    ['structuredClone', () => structuredClone(value)],
  ];
  await group(`Serialization there and back: ${name}`, REPEAT, (bench) => {
    for (const [contestant, call] of contestants) {
      bench.add(contestant, () => {
        for (let i = 0; i < REPEAT; i++) call();
      });
    }
  });
}
