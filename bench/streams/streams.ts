import { deepEqual } from "node:assert/strict";
import { tick } from "../content.js";
import type { Context, Finding, Group } from "../group.js";
import { type Contender, measureCell, type Plan } from "../measure/cell.js";
import { httpDriver } from "../measure/driver.js";
import { answerOf } from "../rest/check.js";
import { envoy, fastest, fastify, gateway, grpcGateway, type Subject } from "../rest/subjects.js";
import { requestBytes } from "../rest/workloads.js";
import { findEnvoy, startEnvoy } from "../stage/envoy.js";
import { gatewayName, type Server } from "../stage/servers.js";
import { openStage, type Stage } from "../stage/stage.js";
import { measureCalls } from "./calls.js";
import { measureGrowth } from "./growth.js";

/** A kind of stream, and who can send it. */
interface StreamLoad {
  readonly name: string;
  readonly connections: number;
  /** Messages of each stream. */
  readonly messages: number;
  /** Streams of a batch of the warm-up. */
  readonly batch: number;
  /** Milliseconds between two. */
  readonly interval: number;
  readonly accept: string;
  readonly subjects: readonly Subject[];
}

const linesSubjects: readonly Subject[] = [
  gateway(fastest, [gatewayName(fastify), grpcGateway.name, envoy.name]),
  gateway(fastify, [grpcGateway.name, envoy.name]),
  grpcGateway,
  envoy,
];

const eventEnvoy: Subject = { ...envoy, start: site => startEnvoy(site, "events") };
const eventSubjects: readonly Subject[] = [
  gateway(fastest, [gatewayName(fastify), eventEnvoy.name]),
  gateway(fastify, [eventEnvoy.name]),
  eventEnvoy,
];

const lines = { interval: 0, accept: "application/x-ndjson", subjects: linesSubjects } as const;
const events = {
  connections: 1000,
  batch: 1000,
  interval: 100,
  accept: "text/event-stream",
  subjects: eventSubjects,
} as const;

const loads: readonly StreamLoad[] = [
  {
    ...lines,
    name: "NDJSON, 10 connections, streams of 1,000 messages",
    connections: 10,
    messages: 1000,
    batch: 10,
  },
  { ...lines, name: "NDJSON, one stream of 50,000 messages", connections: 1, messages: 50_000, batch: 1 },
  { ...events, name: "SSE, 1,000 readers, an event each 100 ms, streams of 1 s", messages: 10 },
  { ...events, name: "SSE, 1,000 readers, an event each 100 ms, streams of 5 s", messages: 50 },
];

/** Streams: from one upstream stream each to a body, calls of gRPC passed on, and readers that are slow. */
export const streamsGroup: Group = {
  name: "streams",
  method: [
    "Server streams of messages of about 100 bytes of JSON, one upstream stream for each client: NDJSON lines (grpc-gateway's",
    '{"result":…} lines, Envoy\'s transcoder with newline-delimited streams) and server-sent events. Messages per CPU',
    "second: what all clients have got, by the CPU time of the server. A request is a whole stream. gRPC calls: 10",
    "connections with 10 calls under way each, by the gateway's own client; Envoy passes them on. Growth: the most",
    "resident memory of the gateway while one stream of large messages runs to or from somebody who is slow.",
  ],
  async *run(context: Context): AsyncIterable<Finding> {
    const stage = await openStage(context);
    try {
      for (const load of loads)
        if (!context.quick || load.interval * load.messages < 2000)
          yield await measureStreams(context, stage, load);
      yield await measureCalls(context, stage);
      yield* measureGrowth(context, stage);
    } finally {
      await stage.close();
    }
  },
};

async function measureStreams(context: Context, stage: Stage, load: StreamLoad): Promise<Finding> {
  const { quick, cpus, note } = context;
  const { site, upstream } = stage;
  const { connections, messages, interval, accept } = load;
  const needs = { node: undefined, go: site.peers, "c++": findEnvoy() } as const;
  const contenders: Contender[] = [];
  const target = `/v1/ticks?count=${messages}${interval === 0 ? "" : `&interval=${interval}`}`;
  const request = requestBytes({ method: "GET", target }, accept);
  for (const subject of load.subjects) {
    const needed = needs[subject.language];
    if (needed?.kind === "absent") {
      note(`${subject.name} is skipped: ${needed.reason}`);
      continue;
    }
    const server = await subject.start(site);
    await checkStream(subject.name, server, accept);
    const { name, baselines, language } = subject;
    const driver = httpDriver(stage.load, { port: server.port, connections, request });
    contenders.push({ name, baselines, language, child: server.child, driver });
  }
  const finding = await measureCell({
    group: "streams",
    workload: load.name,
    plan: planOf(quick, load),
    contenders,
    upstream: upstream.child,
    spareCpu: cpus.load,
    messages,
  });
  await Promise.all(contenders.map(({ child }) => child.stop()));
  return finding;
}

function planOf(quick: boolean, { batch, interval, messages }: StreamLoad): Plan {
  const [pairs, milliseconds] = quick ? [3, 500] : [7, 2000];
  return {
    pairs,
    warmUp: batch,
    // Paced streams of all clients begin and end together; a round does not end between them.
    milliseconds: interval > 0 ? Math.max(1500, (interval * messages) / 2) : milliseconds,
    tracedRequests: 0,
  };
}

/** Sees that a short stream has the right messages. @throws Error */
async function checkStream(name: string, server: Server, accept: string): Promise<void> {
  const { status, content } = await answerOf(server, false, "GET", "/v1/ticks?count=3", undefined, accept);
  if (status !== 200) throw new Error(`${name} answers a stream by ${status}: ${content.slice(0, 500)}`);
  const messages = content
    .split("\n")
    .map(line => line.replace(/^data: ?/, ""))
    .filter(line => line.startsWith("{"))
    .map(line => {
      const json = JSON.parse(line) as { readonly result?: object };
      return json.result ?? json;
    });
  deepEqual(messages, [tick, tick, tick], `${name} answers a stream wrongly: ${content.slice(0, 500)}`);
}
