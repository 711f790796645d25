/**
 * Passes the value on: at once where there is nothing to wait for, so that what is synchronous stays so, else when the
 * promise resolves. Whoever calls deals with what is thrown and with rejections.
 */
export function whenReady<T, R>(value: T | Promise<T>, next: (value: T) => R | Promise<R>): R | Promise<R> {
  return value instanceof Promise ? value.then(next) : next(value);
}
