// What the tests and benchmarks of this repository look into. No part of the package's interface: it changes at any time.

export { Flight, type Outcome } from './cli/flight.js';
export { Output } from './cli/output.js';
export { type CrewOffice, openCrewOffice } from './manager/crew-office.js';
export type { HandProcess } from './manager/hand-life.js';
export type { Seat } from './manager/seat.js';
export { native } from './native.js';
export { detailsOffset } from './runtime/known-targets.js';
export { serveHand } from './runtime/serve-hand.js';
export { TASK_TRANSITIONS } from './task/task-states.js';
export { decodeError, encodeError } from './wire/error-codec.js';
export { decodePart, decodePayload, encodePayload, encodeRange, isLongBuffer } from './wire/payload.js';
