/**
 * Notifies listeners that something on which the readiness of the process depends may have changed: an endpoint,
 * a broker, a listener, the configuration. The event has no content, so that sources and listeners stay independent.
 */
const listeners = new Set<() => void>();
let scheduled = false;

/** To be called where a state that readiness depends on has changed, or may have; costs nothing without listeners. */
export function stateChanged(): void {
  if (scheduled || listeners.size === 0) return;
  scheduled = true;
  setImmediate(() => {
    scheduled = false;
    for (const listener of [...listeners]) listener();
  });
}

/**
 * Calls the listener in the turn of the event loop after changes, once for all of a turn.
 * @returns a function that removes the listener
 */
export function onStateChange(listener: () => void): () => void {
  // Of its own, so that one function may listen more than once.
  const own = (): void => listener();
  listeners.add(own);
  return () => listeners.delete(own);
}
