import { type DestinationStream, destination, type Logger, pino, stdTimeFunctions } from "pino";

export type { Logger } from "pino";

export type LogLevel = "trace" | "debug" | "info" | "warn" | "error" | "fatal" | "silent";

/** Most bytes of log lines waiting for a slow reader of standard output; further lines are lost. */
const maxPending = 16 * 1024 * 1024;

/**
 * Most bytes that a worker writes at once: those that a pipe takes atomically (PIPE_BUF), so that lines of several
 * processes are not mixed. A single line may be longer.
 */
const maxPiece = 4096;

/**
 * A logger of one JSON line an event, with ISO timestamps and the level by name.
 * Lines are written to standard output without blocking, and flushed when the process exits.
 * @param worker of several processes that write there
 */
export function createLogger(level: LogLevel, stream?: DestinationStream, worker?: number): Logger {
  const pieces = worker === undefined ? {} : { maxWrite: maxPiece };
  return pino(
    {
      level,
      base: worker === undefined ? null : { worker },
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: label => ({ level: label }) },
    },
    stream ?? standardOutput({ maxLength: maxPending, ...pieces }),
  );
}

/**
 * Standard output, whose failures (a full disk) cost lines and nothing else. A failed write is tried again with the
 * next line; when the process exits it is given up: pino's destination would try for ever.
 */
function standardOutput(options: {
  readonly maxLength: number;
  readonly maxWrite?: number;
}): DestinationStream {
  const output = destination({ fd: 1, sync: false, ...options });
  let failing = false;
  output.on("error", () => {
    failing = true;
  });
  output.on("write", () => {
    failing = false;
  });
  const flushSync = output.flushSync.bind(output);
  output.flushSync = () => {
    if (!failing) flushSync();
  };
  return output;
}
