import type { Language } from "../measure/round.js";
import { startEnvoy } from "../stage/envoy.js";
import {
  gatewayName,
  type Parts,
  type Server,
  type Site,
  startGateway,
  startPeer,
  startScript,
} from "../stage/servers.js";

/** A server that answers all workloads. */
export interface Subject {
  readonly name: string;
  /** Names of those that it is compared with; none for a rival. */
  readonly baselines: readonly string[];
  readonly language: Language;
  start(site: Site): Promise<Server>;
}

/** The gateway at its fastest. */
export const fastest: Parts = { engine: "uws", transport: "lean" };
/** The same on Fastify. */
export const fastify: Parts = { engine: "fastify", transport: "lean" };
const uwsGrpcJs: Parts = { engine: "uws", transport: "grpc-js" };
const fastifyGrpcJs: Parts = { engine: "fastify", transport: "grpc-js" };

export const grpcGateway: Subject = {
  name: "grpc-gateway",
  baselines: [],
  language: "go",
  start: site =>
    startPeer(site, "grpcgateway", [
      ...["-upstream", site.upstream],
      ...(site.certificate ? ["-cert", site.certificate.cert, "-key", site.certificate.key] : []),
    ]),
};
/** Its gRPC-JSON transcoder, with one worker. */
export const envoy: Subject = {
  name: "Envoy",
  baselines: [],
  language: "c++",
  start: site => startEnvoy(site, "lines"),
};

const rivals: readonly Subject[] = [
  {
    name: "naive",
    baselines: [],
    language: "node",
    start: site => startScript(site, "rest/naive", { UPSTREAM: site.upstream }),
  },
  grpcGateway,
  {
    name: "vanguard-go",
    baselines: [],
    language: "go",
    start: site => startPeer(site, "vanguard", ["-upstream", site.upstream]),
  },
  envoy,
];
const rivalNames = rivals.map(({ name }) => name);

/** Gateways that differ in one part, and the rivals; in the order in which each pair of rounds runs. */
export const subjects: readonly Subject[] = [
  gateway(fastest, [gatewayName(fastify), ...rivalNames]),
  gateway(fastify, [gatewayName(fastifyGrpcJs), "naive"]),
  gateway(uwsGrpcJs, [gatewayName(fastifyGrpcJs), "naive"]),
  gateway(fastifyGrpcJs, ["naive"]),
  ...rivals,
];

/** The gateway on each engine, and the rivals. */
export const engineSubjects: readonly Subject[] = [
  gateway(fastest, rivalNames),
  gateway(fastify, rivalNames),
  ...rivals,
];

/** Who can serve TLS: certificates are of a site. */
export const tlsSubjects: readonly Subject[] = [
  gateway(fastest, [gatewayName(fastify), grpcGateway.name, envoy.name]),
  gateway(fastify, [grpcGateway.name, envoy.name]),
  grpcGateway,
  envoy,
];

/** The gateway on each engine, and that of another checkout twice: its ratio to itself is the noise of the run. */
export function subjectsBesides(checkout: string): readonly Subject[] {
  return [fastest, fastify].flatMap(parts => {
    const name = gatewayName(parts);
    const before = [`${name} before`, `${name} before, again`] as const;
    const start: Subject["start"] = site => startGateway(site, parts, { checkout });
    return [
      gateway(parts, [before[0]]),
      { name: before[0], baselines: [before[1]], language: "node", start },
      { name: before[1], baselines: [], language: "node", start },
    ] satisfies Subject[];
  });
}

export function gateway(parts: Parts, baselines: readonly string[]): Subject {
  return { name: gatewayName(parts), baselines, language: "node", start: site => startGateway(site, parts) };
}
