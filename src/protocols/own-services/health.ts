import { onStateChange } from "../../net/state-changes.js";
import { Code } from "../../status/code.js";
import { WireReader } from "../../wire/reader.js";
import { LENGTH } from "../../wire/wire-type.js";
import { WireWriter } from "../../wire/writer.js";
import { errorStatus, type LocalMethod, okStatus, type Responder } from "./local-channel.js";

/** The health of services. Names are full names of services, `""` the gateway as a whole. */
export interface ServingSource {
  /** Undefined for a service that is not exposed. */
  serving(service: string): boolean | undefined;
  readonly services: Iterable<string>;
}

/** `grpc.health.v1.HealthCheckResponse.ServingStatus` */
const Serving = { Serving: 1, NotServing: 2, ServiceUnknown: 3 } as const;

/** `grpc.health.v1.Health` of the gateway. */
export class HealthService {
  readonly #source: ServingSource;
  readonly #watchers = new Set<Watcher>();
  #stopListening: (() => void) | undefined;
  readonly methods: ReadonlyMap<string, LocalMethod>;

  constructor(source: ServingSource) {
    this.#source = source;
    this.methods = new Map([
      ["/grpc.health.v1.Health/Check", unary(request => this.#check(serviceOf(request)))],
      ["/grpc.health.v1.Health/List", unary(() => this.#list())],
      ["/grpc.health.v1.Health/Watch", { open: responder => this.#watch(responder) }],
    ]);
  }

  #check(service: string): Uint8Array {
    const serving = this.#source.serving(service);
    if (serving === undefined) throw new UnknownService();
    return statusMessage(serving ? Serving.Serving : Serving.NotServing);
  }

  #list(): Uint8Array {
    const writer = new WireWriter();
    for (const name of ["", ...this.#source.services]) {
      writer.message(1, entry => {
        entry.string(1, name);
        entry.field(2, statusMessage(this.#statusOf(name)));
      });
    }
    return writer.finish();
  }

  #statusOf(service: string): number {
    const serving = this.#source.serving(service);
    if (serving === undefined) return Serving.ServiceUnknown;
    return serving ? Serving.Serving : Serving.NotServing;
  }

  #watch(responder: Responder): ReturnType<LocalMethod["open"]> {
    let watcher: Watcher | undefined;
    return {
      message: request => {
        const service = readService(request);
        if (service === undefined) {
          responder.end(malformed);
          return;
        }
        watcher = { service, last: undefined, responder };
        this.#watchers.add(watcher);
        this.#look(watcher);
        this.#stopListening ??= onStateChange(() => {
          for (const each of this.#watchers) this.#look(each);
        });
      },
      end: () => {
        if (watcher === undefined) responder.end(malformed);
      },
      shutDown: () => watcher && this.#look(watcher, Serving.NotServing),
      closed: () => {
        if (watcher === undefined) return;
        this.#watchers.delete(watcher);
        if (this.#watchers.size > 0) return;
        this.#stopListening?.();
        this.#stopListening = undefined;
      },
    };
  }

  /** Notifies a watcher of changes. */
  #look(watcher: Watcher, status = this.#statusOf(watcher.service)): void {
    if (status === watcher.last) return;
    watcher.last = status;
    watcher.responder.respond(statusMessage(status));
  }
}

interface Watcher {
  readonly service: string;
  last: number | undefined;
  readonly responder: Responder;
}

class UnknownService extends Error {}

const malformed = errorStatus(
  Code.INVALID_ARGUMENT,
  "expected one message grpc.health.v1.HealthCheckRequest",
);
const unknownService = errorStatus(Code.NOT_FOUND, "the gateway exposes no such service");

/** A method whose response is known at once. */
function unary(respond: (request: Uint8Array) => Uint8Array): LocalMethod {
  return {
    open: responder => ({
      message: request => {
        try {
          responder.respond(respond(request));
          responder.end(okStatus);
        } catch (error) {
          responder.end(error instanceof UnknownService ? unknownService : malformed);
        }
      },
      end: () => undefined,
    }),
  };
}

function statusMessage(status: number): Uint8Array {
  const writer = new WireWriter();
  writer.integer(1, status);
  return writer.finish();
}

/** @throws RangeError where the bytes are no HealthCheckRequest */
function serviceOf(request: Uint8Array): string {
  const reader = new WireReader(request);
  let service = "";
  while (reader.next()) {
    if (reader.number === 1 && reader.wireType === LENGTH) service = reader.string();
    else reader.skip();
  }
  return service;
}

function readService(request: Uint8Array): string | undefined {
  try {
    return serviceOf(request);
  } catch {
    return undefined;
  }
}
