export function noop(input) {
  return input;
}
