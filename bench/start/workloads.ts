import { mkdirSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { root } from "../repository.js";

/** A folder of protos with the same in a set, and what a configuration says to serve all of it. */
export interface Workload {
  readonly protos: string;
  readonly set: string;
  /** Entries under `services`. */
  readonly services: readonly string[];
}

/** Every service of google-proto-files, each below a prefix of its own: 12,000 messages and 15,000 routes. */
export async function googleApis(folder: string): Promise<Workload> {
  const from = join(root, "node_modules/google-proto-files");
  const protos = join(folder, "google");
  mkdirSync(join(protos, "google"), { recursive: true });
  // google/protobuf is bundled; the package's copy imports files that it leaves out.
  for (const name of readdirSync(join(from, "google")))
    if (name !== "protobuf") symlinkSync(join(from, "google", name), join(protos, "google", name));
  for (const name of ["gapic", "grafeas"]) symlinkSync(join(from, name), join(protos, name));
  const { names, set } = await compiled(protos);
  const all = names.map(service => `{ service: ${service}, upstream: backend, prefix: /${service} }`);
  // A few services bind two methods to one path: gRPC tells them apart, REST cannot.
  const twice = await clashing(folder, set, all);
  return { protos, set, services: all.filter((_, index) => !twice.has(index)) };
}

const packages = 150;
const servicesOfPackage = 10;
const resourcesOfPackage = 5;

/** What one organisation may have: 150 packages with 10 services of 10 methods each, and 35 messages a package. */
export async function manyServices(folder: string): Promise<Workload> {
  const protos = join(folder, "many");
  for (let index = 0; index < packages; index++) {
    const file = join(protos, `acme/domain${index}/v1/domain${index}.proto`);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, domain(index));
  }
  const { set } = await compiled(protos);
  return { protos, set, services: ["{ service: acme.**, upstream: backend }"] };
}

function domain(index: number): string {
  const resources = range(resourcesOfPackage).map(resource);
  const services = range(servicesOfPackage).map(each => service(index, each));
  return `syntax = "proto3";
// What domain ${index} offers.
package acme.domain${index}.v1;
import "google/api/annotations.proto";
import "google/protobuf/empty.proto";
import "google/protobuf/field_mask.proto";
import "google/protobuf/timestamp.proto";
${[...resources, ...services].join("")}`;
}

function resource(index: number): string {
  const name = `Thing${index}`;
  return `
// A thing of kind ${index}, as its owner sees it.
message ${name} {
  // How long it is kept.
  enum Tier { TIER_UNSPECIFIED = 0; TIER_SHORT = 1; TIER_LONG = 2; }
  message Part { string title = 1; int64 size_bytes = 2; bytes digest = 3; }
  // Unique within its parent.
  string name = 1;
  string display_name = 2;
  Tier tier = 3;
  repeated Part parts = 4;
  map<string, string> labels = 5;
  google.protobuf.Timestamp create_time = 6;
  google.protobuf.Timestamp update_time = 7;
  oneof owner { string user = 8; string team = 9; }
  optional double weight = 10;
}
message List${name}sRequest { string parent = 1; int32 page_size = 2; string page_token = 3; string filter = 4; }
message List${name}sResponse { repeated ${name} things = 1; string next_page_token = 2; }
message Get${name}Request { string name = 1; google.protobuf.FieldMask read_mask = 2; }
message Write${name}Request { string parent = 1; ${name} thing = 2; google.protobuf.FieldMask update_mask = 3; }
message Change${name}Request { string name = 1; string reason = 2; repeated string tags = 3; }
`;
}

function service(domain: number, index: number): string {
  const thing = `Thing${index % resourcesOfPackage}`;
  const base = `/v1/domain${domain}/group${index}`;
  const method = (name: string, input: string, output: string, rule: string): string =>
    `  // Does what its name says, for callers that may.\n  rpc ${name}(${input}) returns (${output}) { option (google.api.http) = { ${rule} }; }\n`;
  const action = (verb: string): string =>
    method(
      `${verb}Things`,
      `Change${thing}Request`,
      thing,
      `post: "${base}/{name=things/*}:${verb.toLowerCase()}" body: "*"`,
    );
  return `
// Keeps things of group ${index}.
service Group${index}Service {
${method("ListThings", `List${thing}sRequest`, `List${thing}sResponse`, `get: "${base}/{parent=owners/*}/things"`)}
${method("GetThing", `Get${thing}Request`, thing, `get: "${base}/{name=owners/*/things/*}"`)}
${method("CreateThing", `Write${thing}Request`, thing, `post: "${base}/{parent=owners/*}/things" body: "thing"`)}
${method("UpdateThing", `Write${thing}Request`, thing, `patch: "${base}/{thing.name=owners/*/things/*}" body: "thing"`)}
${method("DeleteThing", `Get${thing}Request`, "google.protobuf.Empty", `delete: "${base}/{name=owners/*/things/*}"`)}
${["Start", "Stop", "Move", "Copy", "Purge"].map(action).join("")}}
`;
}

function range(length: number): number[] {
  return Array.from({ length }, (_, index) => index);
}

/** The configuration of a gateway that serves a workload. @param source an entry under `descriptors` */
export function configOf(source: string, services: readonly string[], target = "127.0.0.1:1"): string {
  return `listeners: { http: { address: 127.0.0.1:0 }, admin: { address: 127.0.0.1:0 } }
descriptors: [${source}]
upstreams: { backend: { targets: ["${target}"] } }
services:
${services.map(each => `  - ${each}\n`).join("")}`;
}

/** Writes all files below a folder as one set, beside it. */
async function compiled(protos: string): Promise<{ names: string[]; set: string }> {
  // The compiled project has the bundled protos beside it, the compiled bench has not.
  const { loadModel } =
    await built<typeof import("../../src/descriptors/load/load.js")>("descriptors/load/load");
  const { model } = await loadModel([{ kind: "protos", folder: protos, include: [] }]);
  const set = `${protos}.binpb`;
  writeFileSync(set, model.descriptorSet());
  return { names: [...model.services.keys()], set };
}

/** The indexes of the entries whose routes others have already. */
async function clashing(
  folder: string,
  set: string,
  services: readonly string[],
): Promise<ReadonlySet<number>> {
  const { loadModel } =
    await built<typeof import("../../src/descriptors/load/load.js")>("descriptors/load/load");
  const { loadConfig } = await built<typeof import("../../src/gateway/config.js")>("gateway/config");
  const { compileRoutes } =
    await built<typeof import("../../src/bindings/route-table.js")>("bindings/route-table");
  const { createPace } = await built<typeof import("../../src/net/pace.js")>("net/pace");
  const file = join(folder, "all.yaml");
  writeFileSync(file, configOf(`{ set: ${set} }`, services));
  const { config, locate } = loadConfig(file, {});
  if (config === undefined) throw new Error("the configuration is not valid");
  const { model } = await loadModel([{ kind: "set", file: set }]);
  const { diagnostics } = await compileRoutes(config, model, locate, createPace());
  const indexOf = new Map(config.services.map(({ service }, index) => [service, index]));
  return new Set(
    diagnostics.flatMap(({ severity, path = "" }) => {
      const index = severity === "error" ? indexOf.get(path.slice(0, path.lastIndexOf("."))) : undefined;
      return index === undefined ? [] : [index];
    }),
  );
}

function built<Module>(path: string): Promise<Module> {
  return import(pathToFileURL(join(root, `build/src/${path}.js`)).href) as Promise<Module>;
}
