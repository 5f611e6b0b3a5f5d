// Why the bytes of a worker or a peer were refused.

/** As in native/dispatch/dispatcher.h. */
const FAULTS = [
  'none',
  'unknown connection',
  'a frame above maxFrameBytes',
  'a frame of an unknown type',
  'a malformed frame',
  'a priority that does not exist',
  'an answer to no task',
  'a frame that is out of place',
  'more tasks than there is room for',
] as const;

/** For people. */
export function faultText(fault: number): string {
  return FAULTS[fault] ?? `fault ${fault}`;
}
