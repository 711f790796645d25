/** Why the gateway ends a socket: RFC 6455 section 7.4, and of the private range those whose last digits say the HTTP status. */
export const CloseCode = {
  /** A message above the limit. */
  tooLarge: 1009,
  restart: 1012,
  /** Too many frames that could not be read. */
  abuse: 4400,
  /** The credential of the upgrade is no longer valid. */
  expired: 4401,
  /** A server asked for it. */
  disconnected: 4403,
  /** The client reads more slowly than its rooms speak; it can resume by `since`. */
  slow: 4008,
  /** Too many frames. */
  flood: 4029,
} as const;

/** Those that are counted one by one; all others that clients may send are one. */
export const countedCodes: ReadonlySet<number> = new Set([
  1000,
  1001,
  1002,
  1003,
  1005,
  1006,
  1007,
  1008,
  1011,
  ...Object.values(CloseCode),
]);
