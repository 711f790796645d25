import {
  create,
  createFileRegistry,
  type DescMessage,
  type DescService,
  type FileRegistry,
  fromBinary,
  type Message,
  toBinary,
} from "@bufbuild/protobuf";
import { type FileDescriptorSet, FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import type { KindsMethod, KindsRequest, KindsResponse } from "./call.js";

/** peer/v1/kinds_service.proto as clients know it. */
export class KindsSchema {
  readonly registry: FileRegistry;
  readonly service: DescService;
  readonly #request: DescMessage;
  readonly #response: DescMessage;
  readonly #info: DescMessage;
  readonly #status: DescMessage;

  /** @param bytes the descriptor set */
  constructor(bytes: Uint8Array) {
    this.registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, bytes) as FileDescriptorSet);
    this.service = this.registry.getService("peer.v1.KindsService") as DescService;
    this.#request = this.#message("peer.v1.KindsRequest");
    this.#response = this.#message("peer.v1.KindsResponse");
    this.#info = this.#message("google.rpc.ErrorInfo");
    this.#status = this.#message("google.rpc.Status");
  }

  #message(name: string): DescMessage {
    return this.registry.getMessage(name) as DescMessage;
  }

  get info(): DescMessage {
    return this.#info;
  }

  request(request: KindsRequest): Message {
    return create(this.#request, { ...request });
  }

  encodeRequest(request: KindsRequest): Uint8Array {
    return toBinary(this.#request, this.request(request));
  }

  decodeRequest(bytes: Uint8Array): Required<KindsRequest> {
    return fromBinary(this.#request, bytes) as unknown as Required<KindsRequest>;
  }

  encodeResponse(response: KindsResponse): Uint8Array {
    return toBinary(this.#response, create(this.#response, { ...response }));
  }

  decodeResponse(bytes: Uint8Array): KindsResponse {
    const { text, count } = fromBinary(this.#response, bytes) as unknown as KindsResponse;
    return { text, count };
  }

  /** `grpc-status-details-bin` with an ErrorInfo. */
  encodeStatus(code: number, message: string, reason: string): Uint8Array {
    const info = toBinary(this.#info, create(this.#info, { reason, domain: "peer.example" }));
    const details = [{ typeUrl: "type.googleapis.com/google.rpc.ErrorInfo", value: info }];
    return toBinary(this.#status, create(this.#status, { code, message, details }));
  }

  /** The reason of the first detail of a `grpc-status-details-bin`. */
  reasonOf(bytes: Uint8Array): string | undefined {
    const { details } = fromBinary(this.#status, bytes) as unknown as { details: { value: Uint8Array }[] };
    const [first] = details;
    return first && (fromBinary(this.#info, first.value) as unknown as { reason: string }).reason;
  }

  method(name: KindsMethod): DescService["methods"][number] {
    return this.service.methods.find(each => each.name === name) as DescService["methods"][number];
  }
}
