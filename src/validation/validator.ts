import type { FieldViolation } from "../status/failure.js";

/** The violations of a serialized message of one type, in the order of its rules; empty where it is valid. */
export type Validate = (message: Uint8Array) => readonly FieldViolation[];
