import { connect } from 'node:net';
import { TASKS } from '../tasks.mjs';
import { FrameReader, FrameWriter } from './unix-socket-frames.mjs';

const socket = connect(process.argv[2]);
const writer = new FrameWriter(socket);
const reader = new FrameReader((name, input) => writer.add(name, TASKS[name](input) ?? 0));
socket.on('data', (chunk) => reader.push(chunk));
socket.on('end', () => process.exit());
socket.on('error', () => process.exit());
