import { Metadata, Server, ServerCredentials, type ServerDuplexStream } from "@grpc/grpc-js";
import { loadModel } from "../../../src/descriptors/load/load.js";
import { rawMethod } from "../../raw-method.js";
import { peerProtos } from "../go-peer.js";
import { KindsSchema } from "./schema.js";

export interface KindsBackend {
  readonly port: number;
  readonly schema: KindsSchema;
  /** The descriptor set. */
  readonly descriptors: Uint8Array;
  /** Resolves when the next call of which nothing further is to come has arrived. */
  hanging(): Promise<void>;
  /** Resolves when all calls that have arrived are over. */
  idle(): Promise<void>;
  close(): void;
}

/** A call of any kind; those that take one request have it, those that give one response are given it by `reply`. */
type Call = ServerDuplexStream<Buffer, Buffer> & { readonly request: Buffer };
type Reply = (error: object | null, bytes?: Buffer, metadata?: Metadata) => void;

/** Serves peer.v1.KindsService with grpc-js. */
export async function startKinds(): Promise<KindsBackend> {
  const { model } = await loadModel([{ kind: "protos", folder: peerProtos, include: [] }]);
  const descriptors = model.descriptorSet();
  const schema = new KindsSchema(descriptors);
  const waiting = { hanging: [] as (() => void)[], idle: [] as (() => void)[] };
  const happened = (what: keyof typeof waiting): void => {
    for (const resolve of waiting[what].splice(0)) resolve();
  };
  const open = new Set<Call>();
  const over = (call: Call): void => {
    open.delete(call);
    if (open.size === 0) happened("idle");
  };

  /** Ends a call as its last request says. @returns what is wrong; undefined where it hangs; null where it is well */
  const outcomeOf = (
    call: Call,
    { code, hang }: { code: number; hang: boolean },
  ): object | null | undefined => {
    if (hang) {
      happened("hanging");
      return undefined;
    }
    over(call);
    if (code === 0) return null;
    const metadata = trailing();
    metadata.set("grpc-status-details-bin", Buffer.from(schema.encodeStatus(code, failure, "TOLD")));
    return { code, details: failure, metadata };
  };
  const end = (call: Call, how: { code: number; hang: boolean }): void => {
    const error = outcomeOf(call, how);
    if (error === null) call.end(trailing());
    else if (error !== undefined) call.emit("error", error);
  };
  const response = (text: string, count: number): Buffer =>
    Buffer.from(schema.encodeResponse({ text, count }));
  const well = { code: 0, hang: false };

  const methods: Record<string, (call: Call, reply: Reply) => void> = {
    Unary(call, reply) {
      const request = schema.decodeRequest(call.request);
      const error = outcomeOf(call, request);
      if (error === null) reply(null, response(request.text, request.count), trailing());
      else if (error !== undefined) reply(error);
    },
    Server(call) {
      const request = schema.decodeRequest(call.request);
      for (let index = 1; index <= request.count; index++) call.write(response(request.text, index));
      end(call, request);
    },
    Client(call, reply) {
      const texts: string[] = [];
      let done = false;
      call.on("data", (bytes: Buffer) => {
        const request = schema.decodeRequest(bytes);
        texts.push(request.text);
        if (request.code === 0 && !request.hang) return;
        done = true;
        const error = outcomeOf(call, request);
        if (error) reply(error);
      });
      call.on("end", () => {
        if (done) return;
        over(call);
        reply(null, response(texts.join(" "), texts.length), trailing());
      });
    },
    Bidi(call) {
      let count = 0;
      let done = false;
      call.on("data", (bytes: Buffer) => {
        const request = schema.decodeRequest(bytes);
        if (request.code === 0) call.write(response(request.text, ++count));
        if (request.code === 0 && !request.hang) return;
        done = true;
        end(call, request);
      });
      call.on("end", () => {
        if (!done) end(call, well);
      });
    },
  };
  const server = new Server();
  for (const { name, methodKind } of schema.service.methods) {
    const handle = (call: Call, reply: Reply): void => {
      open.add(call);
      call.on("cancelled", () => over(call));
      const metadata = new Metadata();
      metadata.set("x-initial", String(call.metadata.get("x-request-tag")[0]));
      call.sendMetadata(metadata);
      methods[name]?.(call, reply);
    };
    server.addService(
      {
        [name]: rawMethod(
          `/peer.v1.KindsService/${name}`,
          methodKind === "client_streaming" || methodKind === "bidi_streaming",
          methodKind === "server_streaming" || methodKind === "bidi_streaming",
        ),
      },
      { [name]: handle } as never,
    );
  }
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  return {
    port,
    schema,
    descriptors,
    hanging: () => new Promise(resolve => waiting.hanging.push(resolve)),
    idle: () => (open.size === 0 ? Promise.resolve() : new Promise(resolve => waiting.idle.push(resolve))),
    close: () => server.forceShutdown(),
  };
}

const failure = "as told ☃";

function trailing(): Metadata {
  const metadata = new Metadata();
  metadata.set("x-trailing", "last");
  return metadata;
}
