import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startGateway } from "../../../src/gateway/gateway.js";
import type { Pair } from "../../auth/certificates.js";
import type { EngineName } from "../../engine.js";
import type { KindsBackend } from "./backend.js";

export interface KindsGateway {
  readonly port: number;
  close(): Promise<void>;
}

/** A gateway in front of the backend. @param origins whose pages may call */
export async function startKindsGateway(
  { port, descriptors }: KindsBackend,
  engine: EngineName,
  { tls, origins = [] }: { tls?: Pair; origins?: readonly string[] } = {},
): Promise<KindsGateway> {
  const folder = await mkdtemp(join(tmpdir(), "protogate-kinds-"));
  await writeFile(join(folder, "kinds.binpb"), descriptors);
  const cors = {
    origins,
    allow_headers: ["content-type", "x-request-tag"],
    expose_headers: ["x-initial", "x-trailing"],
  };
  const config = {
    listeners: {
      http: {
        address: "127.0.0.1:0",
        engine,
        ...(tls !== undefined && { tls: { cert: tls.certFile, key: tls.keyFile } }),
      },
      admin: { address: "127.0.0.1:0" },
    },
    descriptors: [{ set: "./kinds.binpb" }],
    upstreams: { kinds: { targets: [`127.0.0.1:${port}`] } },
    services: [
      {
        service: "peer.v1.KindsService",
        upstream: "kinds",
        metadata: { request: ["x-request-tag"], response: ["x-initial", "x-trailing"] },
      },
    ],
    ...(origins.length > 0 && { http: { cors } }),
  };
  // JSON is YAML.
  await writeFile(join(folder, "gateway.yaml"), JSON.stringify(config));
  const gateway = await startGateway(join(folder, "gateway.yaml"), {
    env: {},
    logTo: { write: () => undefined },
  });
  return {
    port: gateway.httpPort,
    close: async () => {
      await gateway.close();
      await rm(folder, { recursive: true });
    },
  };
}
