// The worker script of poolifier for death.mjs, for both of its kinds of workers. CommonJS: a module that loads
// asynchronously listens too late for the message that starts a cluster worker, and the pool waits for it forever.

const { isMainThread } = require('node:worker_threads');
const { ClusterWorker, ThreadWorker } = require('poolifier');
const { die, echo } = require('./death-task.mjs');

module.exports = new (isMainThread ? ClusterWorker : ThreadWorker)({ die, echo });
