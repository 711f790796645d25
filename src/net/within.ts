/** @throws Error (by rejection) where the promise is not settled in so many milliseconds */
export function within<T>(promise: Promise<T>, timeoutMs: number): Promise<T> {
  return new Promise((resolve, reject) => {
    const late = (): void => reject(new Error(`no response within ${timeoutMs} ms`));
    const timer = setTimeout(late, timeoutMs);
    const end = (): void => clearTimeout(timer);
    promise.then(resolve, reject).then(end);
  });
}
