import { type DestinationStream, destination, type Logger, pino, stdTimeFunctions } from "pino";

export type { Logger } from "pino";

export type LogLevel = "trace" | "debug" | "info" | "warn" | "error" | "fatal" | "silent";

/** Bytes of log lines that wait for a slow reader of standard output; what comes then is lost. */
const maxPending = 16 * 1024 * 1024;

/**
 * A logger of one JSON line an event, with ISO timestamps and the level by name.
 * Lines are written to standard output without blocking, and flushed when the process exits.
 */
export function createLogger(
  level: LogLevel,
  stream: DestinationStream = destination({ fd: 1, sync: false, maxLength: maxPending }),
): Logger {
  return pino(
    {
      level,
      base: null,
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: label => ({ level: label }) },
    },
    stream,
  );
}
