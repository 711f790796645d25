import type { Context } from "../group.js";
import type { Load } from "../load/load.js";
import type { Contender } from "../measure/cell.js";
import { httpDriver } from "../measure/driver.js";
import { settle } from "../measure/settle.js";
import { findEnvoy } from "../stage/envoy.js";
import type { Server, Site } from "../stage/servers.js";
import { checkAnswers } from "./check.js";
import type { Subject } from "./subjects.js";
import { requestBytes, type Workload } from "./workloads.js";

/** A subject whose server runs. */
export interface Entrant {
  readonly subject: Subject;
  readonly server: Server;
  /** Whether it is spoken to over TLS. */
  readonly encrypted: boolean;
}

/** Starts every subject that can run here, and sees that it answers rightly; those that cannot are named. */
export async function startEntrants(
  site: Site,
  subjects: readonly Subject[],
  { note }: Context,
): Promise<Entrant[]> {
  const { peers, certificate } = site;
  const needs = { node: undefined, go: peers, "c++": findEnvoy() } as const;
  const entrants: Entrant[] = [];
  for (const subject of subjects) {
    const needed = needs[subject.language];
    if (needed?.kind === "absent") {
      note(`${subject.name} is skipped: ${needed.reason}`);
      continue;
    }
    const server = await subject.start(site);
    await checkAnswers(subject.name, server, certificate !== undefined);
    entrants.push({ subject, server, encrypted: certificate !== undefined });
  }
  return entrants;
}

const warmUpConnections = 10;

/** Lets V8 compile what the requests of all workloads run, before one of them is measured. */
export async function warmUp(
  { server, encrypted }: Entrant,
  load: Load,
  workloads: readonly Workload[],
): Promise<void> {
  for (const workload of workloads) {
    const traffic = {
      port: server.port,
      encrypted,
      connections: warmUpConnections,
      request: requestBytes(workload),
    };
    const driver = httpDriver(load, traffic);
    await driver.open();
    await settle({ child: server.child, driver }, workload.batch);
    await driver.close();
  }
}

/** How an entrant is driven. */
export interface Traffic {
  readonly workload: Workload;
  readonly connections: number;
  /** Requests a second; absent: as fast as answers come. */
  readonly rate?: number;
}

export function contender(
  { subject, server, encrypted }: Entrant,
  load: Load,
  { workload, ...traffic }: Traffic,
): Contender {
  const { name, baselines, language } = subject;
  const driver = httpDriver(load, {
    port: server.port,
    encrypted,
    request: requestBytes(workload),
    ...traffic,
  });
  return { name, baselines, child: server.child, language, driver };
}
