import { Code, codeName } from "../../status/code.js";
import { Backoff } from "../backoff.js";
import type { Channel } from "../channel.js";
import { type ReflectedDescriptors, ReflectionCollection, type ReflectionLimits } from "./collection.js";
import { ReflectionEnded, ReflectionSession } from "./session.js";

export type { ReflectedDescriptors } from "./collection.js";

/** Both versions are in use: many servers know only one of them. */
const versions = ["v1", "v1alpha"] as const;

export interface FetchOptions {
  /** Milliseconds for all of it. */
  readonly timeout: number;
  /** Ends it early, as a failure. */
  readonly signal?: AbortSignal;
}

/**
 * Fetches the descriptors of an upstream by gRPC server reflection. A file that the upstream cannot give is left out:
 * common ones are bundled, and the loader names missing ones.
 * @throws Error with the cause: not reachable, no reflection, no response in time, more than 10,000 files or 64 MiB
 */
export function fetchDescriptors(channel: Channel, options: FetchOptions): Promise<ReflectedDescriptors> {
  return overReflection(channel, options, session => new ReflectionCollection(session).collect());
}

/**
 * Fetches from an upstream the files that define these symbols and their imports, as serialized FileDescriptorProtos.
 * @throws Error as `fetchDescriptors` does, with the limits given; its cause is a ReflectionEnded where another attempt
 * may succeed
 */
export function fetchSymbols(
  channel: Channel,
  symbols: readonly string[],
  limits: ReflectionLimits,
  options: FetchOptions,
): Promise<readonly Uint8Array[]> {
  return overReflection(channel, options, session =>
    new ReflectionCollection(session, limits).collectSymbols(symbols),
  );
}

/** Runs `collect` over the version of reflection that the upstream offers. */
async function overReflection<T>(
  channel: Channel,
  { timeout, signal }: FetchOptions,
  collect: (session: ReflectionSession) => Promise<T>,
): Promise<T> {
  const deadline = performance.now() + timeout;
  for (const version of versions) {
    const path = `/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`;
    const session = new ReflectionSession(channel, path, deadline - performance.now(), signal);
    try {
      return await collect(session);
    } catch (error) {
      if (!(error instanceof ReflectionEnded)) throw error;
      const { code } = error.status;
      if (code !== Code.UNIMPLEMENTED) {
        throw new Error(`reflection failed with ${codeName(code)}: ${error.message}`, { cause: error });
      }
    } finally {
      session.close();
    }
  }
  throw new Error("the upstream does not offer gRPC server reflection, neither v1 nor v1alpha");
}

export interface DescriptorWatch {
  /** Milliseconds between two fetches; absent: fetched once. */
  readonly refresh?: number;
  /** Milliseconds that one fetch may take. */
  readonly timeout?: number;
  /** Called with the first descriptors, and again whenever they are others. */
  onChange(descriptors: ReflectedDescriptors): void;
  /** A fetch failed; it is tried again. */
  onError?(error: Error): void;
}

const defaultTimeoutMs = 30_000;
/** Milliseconds before a failed fetch is tried again, at first and at most. */
const firstPauseMs = 500;
const maxPauseMs = 30_000;

/** Fetches descriptors until it succeeds, then again at every refresh. Returns a function that stops it. */
export function watchDescriptors(channel: Channel, watch: DescriptorWatch): () => void {
  const { refresh, timeout = defaultTimeoutMs } = watch;
  const backoff = new Backoff(firstPauseMs, maxPauseMs);
  let last: ReflectedDescriptors | undefined;
  const stop = new AbortController();
  let timer: NodeJS.Timeout | undefined;

  const wait = (pause: number) => {
    timer = setTimeout(fetch, pause);
  };
  const accept = (descriptors: ReflectedDescriptors) => {
    if (stop.signal.aborted) return;
    backoff.reset();
    if (refresh !== undefined) wait(refresh);
    if (last !== undefined && same(last, descriptors)) return;
    last = descriptors;
    watch.onChange(descriptors);
  };
  const reject = (error: Error) => {
    if (stop.signal.aborted) return;
    wait(backoff.next());
    watch.onError?.(error);
  };
  const fetch = () => {
    fetchDescriptors(channel, { timeout, signal: stop.signal }).then(accept, reject);
  };

  fetch();
  return () => {
    stop.abort();
    clearTimeout(timer);
  };
}

function same(a: ReflectedDescriptors, b: ReflectedDescriptors): boolean {
  return (
    a.services.join() === b.services.join() &&
    a.files.length === b.files.length &&
    a.files.every((file, index) => Buffer.compare(file, b.files[index]!) === 0)
  );
}
