/** Options that most engines of tests have. */
export const onLoopback = {
  host: "127.0.0.1",
  port: 0,
  tls: undefined,
  headerLimit: 4096,
  requestTimeout: 60_000,
  refused: (): void => undefined,
};
