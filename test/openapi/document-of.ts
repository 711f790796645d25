import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { load } from "../../src/cli/load.js";
import { openApiText } from "../../src/openapi/documents.js";
import type { ApiSource } from "../../src/openapi/source.js";

/** The JSON text of the document of a configuration file. */
export async function documentOf(file: string, service?: string): Promise<string> {
  const { api } = await load(file);
  return (await openApiText(api, service, "json")).toString();
}

/**
 * What documents are made of, from protos of a test.
 * @param proto the text of `api.proto`, with everything in it exposed
 * @param yaml further lines of the configuration
 */
export async function sourceOf(proto: string, yaml = ""): Promise<ApiSource> {
  const folder = mkdtempSync(join(tmpdir(), "protogate-openapi-"));
  try {
    const write = (name: string, text: string): void => {
      mkdirSync(dirname(join(folder, name)), { recursive: true });
      writeFileSync(join(folder, name), text);
    };
    write("protos/api.proto", proto);
    write(
      "gateway.yaml",
      `listeners: { http: { address: ":0" } }
descriptors: [{ protos: protos }]
upstreams: { backend: { targets: ["127.0.0.1:1"] } }
${yaml.includes("services:") ? "" : "services: [{ service: api.v1.**, upstream: backend }]"}
${yaml}`,
    );
    return (await load(join(folder, "gateway.yaml"))).api;
  } finally {
    rmSync(folder, { recursive: true });
  }
}
