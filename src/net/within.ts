/**
 * The result of a promise that settles within so many milliseconds. What arrived while this process itself was busy is
 * handled first, so that only the other side can be late.
 * @throws Error (by rejection) where it does not
 */
export function within<T>(promise: Promise<T>, timeoutMs: number): Promise<T> {
  return new Promise((resolve, reject) => {
    const late = (): void => reject(new Error(`no response within ${timeoutMs} ms`));
    const timer = setTimeout(() => setImmediate(late), timeoutMs);
    const end = (): void => clearTimeout(timer);
    promise.then(resolve, reject).then(end);
  });
}
