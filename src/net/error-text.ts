/** The text of a thrown value, in a sentence for people without knowledge of the code. */
export function errorMessage(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  // That of several attempts at once, such as connections to all addresses of a name, has none of its own.
  if (error.message === "" && error instanceof AggregateError)
    return error.errors.map(errorMessage).join("; ");
  return error.message;
}

/** The text of a thrown value with its stack, for the log. */
export function errorStack(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
