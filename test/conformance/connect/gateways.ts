import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { startGateway } from "../../../src/gateway/gateway.js";
import type { Gateway } from "../../../src/gateway/gateway-options.js";
import { WireReader } from "../../../src/wire/reader.js";
import { LENGTH, VARINT } from "../../../src/wire/wire-type.js";
import { WireWriter } from "../../../src/wire/writer.js";
import type { EngineName } from "../../engine.js";

/** One message behind its length, four bytes big-endian, as the suite talks to the programs that it tests. */
export async function readMessage(input: Readable): Promise<Buffer> {
  let bytes = Buffer.alloc(0);
  for await (const chunk of input.iterator({ destroyOnReturn: false })) {
    bytes = Buffer.concat([bytes, chunk as Buffer]);
    if (bytes.length >= 4 && bytes.length >= 4 + bytes.readUInt32BE(0)) break;
  }
  return bytes.subarray(4, 4 + bytes.readUInt32BE(0));
}

export function framed(message: Uint8Array): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(message.length);
  return Buffer.concat([length, message]);
}

type Fields = ReadonlyMap<number, number | Uint8Array>;

function fieldsOf(message: Uint8Array): Fields {
  const fields = new Map<number, number | Uint8Array>();
  const reader = new WireReader(message);
  while (reader.next())
    fields.set(reader.number, reader.wireType === LENGTH ? reader.delimited() : Number(reader.varint()));
  return fields;
}

function bytesOf(fields: Fields, number: number): Uint8Array | undefined {
  const value = fields.get(number);
  return value instanceof Uint8Array ? value : undefined;
}

function message(fields: readonly (readonly [number: number, value: number | Uint8Array])[]): Uint8Array {
  const writer = new WireWriter();
  for (const [number, value] of fields) {
    writer.tag(number, typeof value === "number" ? VARINT : LENGTH);
    if (typeof value === "number") writer.varint(BigInt(value));
    else writer.delimited(value);
  }
  return writer.finish();
}

const largestMessage = 64 << 20;

/** Gateways as the suite asks for them, all in front of one reference gRPC server. */
export class Gateways {
  readonly #protos: string;
  readonly #engine: EngineName;
  readonly #backend: ChildProcess;
  readonly #port: number;
  readonly #gateways = new Map<string, Promise<Gateway>>();
  readonly #folders: string[] = [];

  private constructor(protos: string, engine: EngineName, backend: ChildProcess, port: number) {
    this.#protos = protos;
    this.#engine = engine;
    this.#backend = backend;
    this.#port = port;
  }

  /**
   * @param protos the folder of the suite's .proto files
   * @param grpcServer the suite's program
   * @param engine that the gateways listen with
   */
  static async start(protos: string, grpcServer: string, engine: EngineName): Promise<Gateways> {
    const backend = spawn(grpcServer, ["-port", "0"], { stdio: ["pipe", "pipe", "inherit"] });
    // ServerCompatRequest: gRPC over HTTP/2 in plain text.
    backend.stdin.end(
      framed(
        message([
          [1, 2],
          [2, 2],
          [6, largestMessage],
        ]),
      ),
    );
    const response = fieldsOf(await readMessage(backend.stdout));
    return new Gateways(protos, engine, backend, Number(response.get(2)));
  }

  /** The gateway for a ServerCompatRequest, as a ServerCompatResponse. */
  async serve(bytes: Uint8Array): Promise<Uint8Array> {
    const request = fieldsOf(bytes);
    const credentials = bytesOf(request, 7);
    const pair = credentials && fieldsOf(credentials);
    const certificate = pair && bytesOf(pair, 1);
    const limit = Number(request.get(6) ?? 0);
    const key = `${limit} ${certificate === undefined ? "" : Buffer.from(certificate).toString("latin1")}`;
    let gateway = this.#gateways.get(key);
    if (gateway === undefined) {
      gateway = this.#start(limit, certificate, pair && bytesOf(pair, 2));
      this.#gateways.set(key, gateway);
    }
    const { httpPort } = await gateway;
    const response: [number, number | Uint8Array][] = [
      [1, Buffer.from("127.0.0.1")],
      [2, httpPort],
    ];
    if (certificate !== undefined) response.push([3, certificate]);
    return message(response);
  }

  async close(): Promise<void> {
    for (const gateway of this.#gateways.values()) await (await gateway).close();
    this.#backend.kill();
    for (const folder of this.#folders) rmSync(folder, { recursive: true });
  }

  async #start(
    limit: number,
    certificate: Uint8Array | undefined,
    key: Uint8Array | undefined,
  ): Promise<Gateway> {
    const folder = mkdtempSync(join(tmpdir(), "protogate-conformance-"));
    this.#folders.push(folder);
    const file = (name: string, content: string | Uint8Array): void =>
      writeFileSync(join(folder, name), content);
    if (certificate !== undefined) file("cert.pem", certificate);
    if (key !== undefined) file("key.pem", key);
    const tls = certificate === undefined ? "" : ", tls: { cert: ./cert.pem, key: ./key.pem }";
    file(
      "gateway.yaml",
      `
listeners: { http: { address: 127.0.0.1:0, engine: ${this.#engine}${tls} }, admin: { address: 127.0.0.1:0 } }
descriptors: [{ protos: ${JSON.stringify(this.#protos)} }]
upstreams: { reference: { targets: ["127.0.0.1:${this.#port}"], max_message_size: 64MiB } }
services:
  - service: connectrpc.conformance.v1.ConformanceService
    upstream: reference
    protocols: [connect, grpc-web, grpc]
    timeout: 0s
    metadata: { request: ["*", "*-bin"], response: ["*", "*-bin"] }
    limits: { body: ${limit === 0 ? largestMessage : limit} }
server: { drain: 1s }
telemetry: { log: { level: error } }
`,
    );
    return startGateway(join(folder, "gateway.yaml"), {
      env: {},
      logTo: { write: line => process.stderr.write(line) },
    });
  }
}
