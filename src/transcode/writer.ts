/** Collects wire bytes. */
export class Writer {}
