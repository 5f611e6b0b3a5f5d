// A thread that draws one graph: Graphviz takes a minute for a tangled one, and nobody's event loop has to wait for it.

import { parentPort, workerData } from 'node:worker_threads';
import { instance } from '@viz-js/viz';
import type { Drawing } from './graph-svg.js';

const { dot, attributes } = workerData as Drawing;
const viz = await instance();
parentPort?.postMessage(viz.renderString(dot, { format: 'svg', graphAttributes: attributes }));
