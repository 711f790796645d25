import { join } from "node:path";
import type { Context, Finding } from "../group.js";
import { type Contender, measureCell } from "../measure/cell.js";
import type { Language } from "../measure/round.js";
import { hasStrace } from "../process/strace.js";
import { root } from "../repository.js";
import { fastify } from "../rest/subjects.js";
import { findEnvoy, startEnvoy } from "../stage/envoy.js";
import { type Server, startClient, startGateway } from "../stage/servers.js";
import type { Stage } from "../stage/stage.js";
import { callEnvironment, selfDriver } from "../transport/transport.js";

const connections = 10;
const underWay = 100;
const config = join(root, "bench/stage/gateway-grpc.yaml");

/** Unary calls of gRPC that are passed on, beside Envoy. */
export async function measureCalls(
  { quick, cpus, note }: Context,
  { site, upstream }: Stage,
): Promise<Finding> {
  const contenders: Contender[] = [];
  const add = async (
    name: string,
    baselines: readonly string[],
    language: Language,
    { child, port }: Server,
  ): Promise<void> => {
    const env = { ...callEnvironment(`127.0.0.1:${port}`), CALLER: "lean", CONNECTIONS: String(connections) };
    const client = await startClient({ ...site, cpu: cpus.load }, "transport/client", env);
    contenders.push({ name, baselines, language, child, driver: selfDriver(client, underWay) });
  };
  await add("protogate http2", ["Envoy"], "node", await startGateway(site, fastify, { config }));
  const envoy = findEnvoy();
  if (envoy.kind === "absent") note(`Envoy is skipped: ${envoy.reason}`);
  else await add("Envoy", [], "c++", await startEnvoy(site, "grpc"));
  return measureCell({
    group: "streams",
    workload: `gRPC unary calls, ${connections} connections, ${underWay} under way`,
    plan: {
      pairs: quick ? 5 : 9,
      warmUp: 2000,
      milliseconds: quick ? 500 : 1000,
      tracedRequests: hasStrace() ? 4000 : 0,
    },
    contenders,
    upstream: upstream.child,
    spareCpu: cpus.load,
  });
}
