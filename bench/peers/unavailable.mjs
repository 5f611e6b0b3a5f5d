/** Something that cannot be measured here, and why: no fault of the harness, and no figure either. */
export class Unavailable extends Error {}
