import { once } from "node:events";
import { connect, createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { pathToFileURL } from "node:url";
import type { Child } from "../process/child.js";
import type { Children } from "../process/children.js";
import { root } from "../repository.js";
import type { GoPeers } from "./go-peers.js";

/** A server that answers. */
export interface Server {
  readonly child: Child;
  readonly port: number;
}

/** The files of a certificate for localhost, PEM. */
export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

/** What servers are started with. */
export interface Site {
  readonly children: Children;
  readonly cpu: number | undefined;
  /** host:port; empty for the upstream itself. */
  readonly upstream: string;
  readonly peers: GoPeers;
  /** Set where clients come over TLS. */
  readonly certificate?: Certificate;
}

/** For servers that need neither an upstream nor peers. */
export function siteAlone(children: Children, cpu: number | undefined): Site {
  return { children, cpu, upstream: "", peers: { kind: "absent", reason: "not needed" } };
}

const compiled = join(import.meta.dirname, "..");

/**
 * A server of the bench on Node, by its path below bench/ without `.ts`.
 * @param checkout root of another checkout whose bench is compiled
 */
export async function startScript(
  site: Site,
  script: string,
  env: Readonly<Record<string, string>>,
  checkout?: string,
): Promise<Server> {
  const folder =
    checkout === undefined ? compiled : join(checkout, "node_modules/.cache/protogate-bench/bench");
  const child = startNode(site, script, [join(folder, `${script}.js`)], env, folder);
  return { child, port: await child.listening() };
}

/** A client of the bench on Node, in the same way. */
export async function startClient(
  site: Site,
  script: string,
  env: Readonly<Record<string, string>>,
): Promise<Child> {
  const child = startNode(site, script, [join(compiled, `${script}.js`)], env);
  await child.ready();
  return child;
}

/** A program under bench/peers. */
export async function startPeer(site: Site, name: string, args: readonly string[]): Promise<Server> {
  if (site.peers.kind === "absent") throw new Error(`${name} cannot run: ${site.peers.reason}`);
  const child = site.children.start({ name, file: join(site.peers.folder, name), args, cpu: site.cpu });
  return { child, port: await child.listening() };
}

/** A program that takes the port to listen on among its arguments, and that answers no questions. */
export async function startProgram(
  site: Site,
  name: string,
  file: string,
  argsOf: (port: number) => readonly string[],
): Promise<Server> {
  const port = await freePort();
  const child = site.children.start({ name, file, args: argsOf(port), cpu: site.cpu });
  await untilAccepts(child, port);
  return { child, port };
}

/** Which parts a gateway is put together from, as its configuration names them. */
export interface Parts {
  readonly engine: "fastify" | "uws";
  readonly transport: "lean" | "grpc-js";
}

export function gatewayName({ engine, transport }: Parts): string {
  return `protogate ${engine}+${transport}`;
}

/** The bench's configuration of the gateway. */
const plainConfig = join(root, "bench/stage/gateway.yaml");
const tlsConfig = join(root, "bench/stage/gateway-tls.yaml");

/** How a gateway is started otherwise than as it ships, with the bench's configuration. */
export interface GatewayOptions {
  /** Scripts of the bench that it loads first, by their paths below bench/ without `.ts`. */
  readonly preloaded?: readonly string[];
  /** A configuration that reads the same variables as the bench's own. */
  readonly config?: string;
  /** Options of Node.js. */
  readonly nodeOptions?: readonly string[];
  /** Root of another checkout, built, whose gateway is started. */
  readonly checkout?: string;
  /** Not the bundle that ships, but modules as files, which a profile tells apart and a script can replace. */
  readonly asModules?: boolean;
  /** Further variables of the configuration. */
  readonly env?: Readonly<Record<string, string>>;
  /** Answers no questions: workers have no channel for them, and would load the probe, too. */
  readonly unprobed?: boolean;
  /** Left out, one that is free. */
  readonly port?: number;
}

export async function startGateway(
  site: Site,
  parts: Parts,
  {
    preloaded = [],
    config = site.certificate === undefined ? plainConfig : tlsConfig,
    nodeOptions = [],
    checkout = root,
    asModules = false,
    env: more = {},
    unprobed = false,
    port: given,
  }: GatewayOptions = {},
): Promise<Server> {
  const port = given ?? (await freePort());
  const env = {
    HTTP_PORT: String(port),
    ...gatewayEnv(site, parts),
    ...more,
    ...(site.certificate && { TLS_CERT: site.certificate.cert, TLS_KEY: site.certificate.key }),
  };
  const main = join(checkout, asModules ? "build/src/main.js" : "dist/main.js");
  const imports = preloaded.flatMap(path => ["--import", pathToFileURL(join(compiled, `${path}.js`)).href]);
  const args = [...nodeOptions, ...imports, main, "serve", "-c", config];
  const { children, cpu } = site;
  const name = gatewayName(parts);
  const child = unprobed
    ? children.start({ name, file: process.execPath, args, env, cpu })
    : startNode(site, name, args, env);
  await untilAccepts(child, port);
  return { child, port };
}

/** Two gateways of one process each on one CPU, that know nothing of each other, in a process that has started both. */
export async function startTwoGateways(
  site: Site,
  parts: Parts,
  config: string,
  more: Readonly<Record<string, string>>,
): Promise<{ readonly child: Child; readonly ports: readonly number[] }> {
  const ports = [await freePort(), await freePort()];
  const probe = pathToFileURL(join(compiled, "process/control-probe.js")).href;
  const main = join(root, "dist/main.js");
  const child = site.children.start({
    name: `two of ${gatewayName(parts)}`,
    file: process.execPath,
    args: [join(compiled, "workers/apart.js"), "--import", probe, main, "serve", "-c", config],
    env: { ...gatewayEnv(site, parts), ...more, PORTS: ports.join(",") },
    cpu: site.cpu,
  });
  await Promise.all(ports.map(port => untilAccepts(child, port)));
  return { child, ports };
}

function gatewayEnv({ upstream }: Site, { engine, transport }: Parts): Record<string, string> {
  return { ADMIN_PORT: "0", ENGINE: engine, TRANSPORT: transport, UPSTREAM: upstream };
}

function startNode(
  { children, cpu }: Site,
  name: string,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  folder = compiled,
): Child {
  // A script and its probe share a module, so both are of one bench.
  const probe = pathToFileURL(join(folder, "process/control-probe.js")).href;
  return children.start({ name, file: process.execPath, args: ["--import", probe, ...args], env, cpu });
}

/** A port that nobody listens on now. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  if (address === null || typeof address === "string") throw new Error("no free port");
  return address.port;
}

/** @throws Error where it ends, or takes too long, before it listens */
async function untilAccepts(child: Child, port: number): Promise<void> {
  const over = new AbortController();
  try {
    await child.inTime(accepts(port, over.signal), "did not listen");
  } finally {
    over.abort();
  }
}

/** Resolves once somebody listens, or when it is over. */
async function accepts(port: number, over: AbortSignal): Promise<void> {
  while (!over.aborted) {
    const socket = connect(port, "127.0.0.1");
    const open = await once(socket, "connect").then(
      () => true,
      () => false,
    );
    socket.destroy();
    if (open) return;
    await pause(25);
  }
}
