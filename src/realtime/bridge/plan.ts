import type { Codec } from "../../codec/codec.js";
import type { MethodType } from "../../descriptors/model.js";
import type { EventKind } from "./bridge.js";
import type { EventRequest } from "./event-fields.js";
import type { EventReply } from "./event-reply.js";

/** How one kind of event is put to a backend. */
export interface EventPlan {
  readonly upstream: string;
  readonly method: MethodType;
  /** Milliseconds, waiting in line included. */
  readonly timeout: number;
  /** What an event comes to that the backend could not be asked about. */
  readonly onFailure: "refuse" | "allow";
  readonly request: EventRequest;
  readonly input: Codec;
  /** Undefined where replies only allow. */
  readonly reply: EventReply | undefined;
}

/** One method that sockets may call. */
export interface CallPlan {
  readonly upstream: string;
  readonly method: MethodType;
  /** Milliseconds; undefined: no deadline, for streams that nobody gave one. */
  readonly timeout: number | undefined;
  readonly input: Codec;
  readonly output: Codec;
  readonly retryable: boolean;
}

/** What may be under way at once. */
export interface BridgeLimits {
  /** Unary calls and events, for each upstream. */
  readonly concurrency: number;
  /** Unary calls and events that wait for their turn, for each upstream. */
  readonly queue: number;
  /** Calls of one socket, streams included. */
  readonly perConnection: number;
  /** Streams of all sockets. */
  readonly streams: number;
}

/** All that a configuration and its descriptors say of what sockets ask of backends. */
export interface BridgePlan {
  readonly events: Readonly<Partial<Record<EventKind, EventPlan>>>;
  /** By `package.Service/Method`. */
  readonly calls: ReadonlyMap<string, CallPlan>;
  readonly limits: BridgeLimits;
  /** The JSON text of an error detail; never throws. */
  renderDetail(typeUrl: string, value: Uint8Array): string;
}
