import { type Server, type Site, startGateway, startPeer, startScript } from "./servers.js";

/** A server that answers all workloads. */
export interface Subject {
  readonly name: string;
  /** Names of those that it is compared with; none for a rival. */
  readonly baselines: readonly string[];
  /** True where it is written in Go. */
  readonly go: boolean;
  start(site: Site): Promise<Server>;
}

/** In the order in which each pair of rounds runs. */
export const subjects: readonly Subject[] = [
  {
    name: "protogate",
    baselines: ["naive", "grpc-gateway", "vanguard-go"],
    go: false,
    start: site => startGateway(site, "rest/gateway.yaml"),
  },
  {
    name: "naive",
    baselines: [],
    go: false,
    start: site => startScript(site, "rest/naive", { UPSTREAM: site.upstream }),
  },
  {
    name: "grpc-gateway",
    baselines: [],
    go: true,
    start: site => startPeer(site, "grpcgateway", ["-upstream", site.upstream]),
  },
  {
    name: "vanguard-go",
    baselines: [],
    go: true,
    start: site => startPeer(site, "vanguard", ["-upstream", site.upstream]),
  },
];
