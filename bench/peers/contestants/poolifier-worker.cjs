// CommonJS: a module that loads asynchronously listens too late for the message that starts a cluster worker.

const { isMainThread } = require('node:worker_threads');
const { ClusterWorker, ThreadWorker } = require('poolifier');
const { TASKS } = require('../tasks.mjs');

module.exports = new (isMainThread ? ClusterWorker : ThreadWorker)(TASKS);
