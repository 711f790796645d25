import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { loadModel } from "../../src/descriptors/load/load.js";
import { protoFolders } from "../protobuf.js";
import { root } from "../repository.js";
import { type Certificate, type Server, type Site, startProgram } from "./servers.js";

/** The binary of Envoy, by the variable `ENVOY`; or why it cannot run. */
export type Envoy =
  | { readonly kind: "found"; readonly file: string }
  | { readonly kind: "absent"; readonly reason: string };

export function findEnvoy(file = process.env.ENVOY ?? ""): Envoy {
  if (file === "")
    return { kind: "absent", reason: "the variable ENVOY does not name its binary (bench/README.md)" };
  return existsSync(file)
    ? { kind: "found", file }
    : { kind: "absent", reason: `there is no file ${file}, which the variable ENVOY names` };
}

/** What Envoy does with a call: its gRPC-JSON transcoder with streams as lines or as events, or it passes gRPC on. */
export type EnvoyRole = "lines" | "events" | "grpc";

/** Envoy with one worker in front of the upstream, without access log. @throws Error where it is not there */
export async function startEnvoy(site: Site, role: EnvoyRole): Promise<Server> {
  const envoy = findEnvoy();
  if (envoy.kind === "absent") throw new Error(`Envoy cannot run: ${envoy.reason}`);
  const folder = join(root, "node_modules/.cache/protogate-bench/envoy");
  mkdirSync(folder, { recursive: true });
  const filters = [
    ...(role === "grpc" ? [] : [await transcoder(role)]),
    filter("router", "router.v3.Router"),
  ];
  return startProgram(site, "envoy", envoy.file, port => {
    const file = join(folder, `${port}.json`);
    writeFileSync(file, JSON.stringify(configuration(port, site, filters)));
    const quiet = ["--log-level", "error", "--disable-hot-restart"];
    return ["--config-path", file, "--concurrency", "1", ...quiet];
  });
}

function configuration(port: number, { upstream, certificate }: Site, filters: readonly object[]): object {
  const [host = "", upstreamPort = ""] = upstream.split(":");
  const http = {
    "@type": typeOf("filters.network.http_connection_manager.v3.HttpConnectionManager"),
    stat_prefix: "bench",
    route_config: {
      virtual_hosts: [
        {
          name: "all",
          domains: ["*"],
          routes: [{ match: { prefix: "/" }, route: { cluster: "bench", timeout: "60s" } }],
        },
      ],
    },
    http_filters: filters,
  };
  return {
    static_resources: {
      listeners: [
        {
          address: addressOf("127.0.0.1", port),
          filter_chains: [
            {
              filters: [{ name: "http", typed_config: http }],
              ...(certificate && { transport_socket: transportSocket(certificate) }),
            },
          ],
        },
      ],
      clusters: [
        {
          name: "bench",
          type: "STATIC",
          typed_extension_protocol_options: {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
              "@type": typeOf("upstreams.http.v3.HttpProtocolOptions"),
              explicit_http_config: { http2_protocol_options: {} },
            },
          },
          // Its default of 1,024 requests would refuse some of many streams.
          circuit_breakers: { thresholds: [{ max_requests: 100_000 }] },
          load_assignment: {
            cluster_name: "bench",
            endpoints: [{ lb_endpoints: [{ endpoint: { address: addressOf(host, Number(upstreamPort)) } }] }],
          },
        },
      ],
    },
  };
}

function addressOf(address: string, port: number): object {
  return { socket_address: { address, port_value: port } };
}

function transportSocket({ cert, key }: Certificate): object {
  const tls = {
    "@type": typeOf("transport_sockets.tls.v3.DownstreamTlsContext"),
    common_tls_context: {
      tls_certificates: [{ certificate_chain: { filename: cert }, private_key: { filename: key } }],
    },
  };
  return { name: "tls", typed_config: tls };
}

/** ProtoJSON as all others in a run print it. */
async function transcoder(streams: "lines" | "events"): Promise<object> {
  const [folder, ...include] = protoFolders;
  const { model } = await loadModel([{ kind: "protos", folder, include }]);
  return filter("grpc_json_transcoder", "grpc_json_transcoder.v3.GrpcJsonTranscoder", {
    proto_descriptor_bin: Buffer.from(model.descriptorSet()).toString("base64"),
    services: ["bench.v1.BenchService"],
    convert_grpc_status: true,
    // Else a stream ends where its reader is behind by a mebibyte.
    max_response_body_size: 64 << 20,
    print_options: {
      stream_newline_delimited: streams === "lines",
      stream_sse_style_delimited: streams === "events",
    },
  });
}

function filter(name: string, type: string, options: object = {}): object {
  return {
    name: `envoy.filters.http.${name}`,
    typed_config: { "@type": typeOf(`filters.http.${type}`), ...options },
  };
}

function typeOf(name: string): string {
  return `type.googleapis.com/envoy.extensions.${name}`;
}
