import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Context } from "../group.js";
import { Load } from "../load/load.js";
import { buildGateway } from "./build.js";
import { buildGoPeers } from "./go-peers.js";
import { writeReplies } from "./replies.js";
import { type Server, type Site, startPeer, startScript } from "./servers.js";

/** What surrounds the servers under test. */
export interface Stage {
  readonly site: Site;
  readonly upstream: Server;
  readonly load: Load;
  /** Ends the load; the servers are ended with the group. */
  close(): Promise<void>;
}

/** Compiles what is to run, and starts upstream and load. */
export async function openStage({ children, cpus, note }: Context): Promise<Stage> {
  note("building the gateway and the peers");
  const [peers] = await Promise.all([buildGoPeers(), buildGateway()]);
  if (peers.kind === "absent") note(`the upstream is on grpc-js: ${peers.reason}`);
  const folder = await mkdtemp(join(tmpdir(), "protogate-bench-"));
  let upstream: Server;
  try {
    writeReplies(folder);
    upstream = await startUpstream({ children, cpu: cpus.load, upstream: "", peers }, folder);
  } finally {
    // The upstream has read the replies by now.
    await rm(folder, { recursive: true, force: true });
  }
  const load = new Load(cpus.load);
  const site = { children, cpu: cpus.server, upstream: `127.0.0.1:${upstream.port}`, peers };
  return { site, upstream, load, close: () => load.stop() };
}

function startUpstream(site: Site, replies: string): Promise<Server> {
  return site.peers.kind === "built"
    ? startPeer(site, "upstream", ["-replies", replies])
    : startScript(site, "stage/upstream", { REPLIES: replies });
}
