/**
 * Passes the value on: at once where it is no promise, so that synchronous code stays synchronous, else when the
 * promise resolves. The caller handles thrown errors and rejections.
 */
export function whenReady<T, R>(value: T | Promise<T>, next: (value: T) => R | Promise<R>): R | Promise<R> {
  return value instanceof Promise ? value.then(next) : next(value);
}
