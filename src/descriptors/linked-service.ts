import type { Steps } from "../net/pace.js";
import { type MethodProto, Path } from "./descriptor-proto.js";
import { LinkedElement, type LinkedFile } from "./linked-element.js";
import type { MessageType, MethodType, Model, ServiceType } from "./model.js";
import { qualify, type ServiceSymbol } from "./symbol-table.js";
import { varintField } from "./wire.js";

const IDEMPOTENCY_OPTION = 34;
const IDEMPOTENCY = ["unknown", "no_side_effects", "idempotent"] as const;

class LinkedService extends LinkedElement implements ServiceType {
  readonly kind = "service";
  readonly methods: MethodType[] = [];

  constructor(model: Model, file: LinkedFile, symbol: ServiceSymbol) {
    super(model, file, symbol.fullName, symbol.proto, symbol.path, "Service");
  }
}

/** A service with all its methods. */
export function* linkService(model: Model, file: LinkedFile, symbol: ServiceSymbol): Steps<ServiceType> {
  const service = new LinkedService(model, file, symbol);
  for (const [index, method] of symbol.proto.method.entries()) {
    yield 3;
    const path = `${symbol.path},${Path.SERVICE_METHOD},${index}`;
    service.methods.push(new LinkedMethod(model, service, method, path));
  }
  return service;
}

class LinkedMethod extends LinkedElement implements MethodType {
  readonly path: string;
  readonly clientStreaming: boolean;
  readonly serverStreaming: boolean;
  readonly #input: string;
  readonly #output: string;

  constructor(
    model: Model,
    readonly service: LinkedService,
    proto: MethodProto,
    path: string,
  ) {
    super(model, service.file, qualify(service.fullName, proto.name), proto, path, "Method");
    this.path = `/${service.fullName}/${proto.name}`;
    this.clientStreaming = proto.clientStreaming ?? false;
    this.serverStreaming = proto.serverStreaming ?? false;
    this.#input = proto.inputType.slice(1);
    this.#output = proto.outputType.slice(1);
  }

  // Linking has checked that both exist.
  get input(): MessageType {
    return this.model.message(this.#input)!;
  }

  get output(): MessageType {
    return this.model.message(this.#output)!;
  }

  get idempotency(): MethodType["idempotency"] {
    return IDEMPOTENCY[varintField(this.options.bytes, IDEMPOTENCY_OPTION) ?? 0] ?? "unknown";
  }
}
