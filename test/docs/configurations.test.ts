import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { parse, stringify } from "yaml";
import { readApiKeys } from "../../src/auth/providers/api-key/key-file.js";
import { formatDiagnostic, LoadError } from "../../src/config/diagnostic.js";
import { compile } from "../../src/gateway/compile.js";
import { loadConfig } from "../../src/gateway/config.js";
import { readConfig } from "../../src/gateway/read-config.js";
import type { Rooms } from "../../src/gateway/realtime-settings.js";
import { createRuntime } from "../../src/gateway/runtime.js";
import { createPace } from "../../src/net/pace.js";
import { createLogger } from "../../src/telemetry/logger.js";
import { Authority, withoutOpenssl } from "../auth/certificates.js";
import { root } from "../node-script.js";
import { isGuide, type Page, pages } from "./page.js";

type Section = Record<string, unknown>;

/** What every configuration of the page takes for granted. */
const common: Section = {
  listeners: { http: { address: "127.0.0.1:8080" }, realtime: { address: "127.0.0.1:8081" } },
  descriptors: [{ protos: join(root, "protos/demo") }, { protos: join(import.meta.dirname, "protos") }],
  upstreams: {
    shop: { targets: ["127.0.0.1:50051"] },
    legacy: { protocol: "http", targets: ["http://127.0.0.1:8000"] },
  },
  services: [
    { service: "shop.v1.Orders", upstream: "shop" },
    { service: "chat.v1.Rooms", upstream: "shop" },
  ],
  auth: {
    default: "users",
    providers: {
      users: { type: "jwt", jwks: "https://id.example.com/jwks.json", algorithms: ["RS256"] },
    },
  },
  realtime: {},
};

/** What `${…}` stands for. */
const env = {
  OTLP_KEY: "key",
  LOG_HASH_KEY: "a-key-of-hashes-of-subjects",
  CLIENT_SECRET: "a-secret",
  SESSION_SECRET: "a-secret-of-at-least-thirty-two-characters",
  NEW_SECRET: "a-secret-of-at-least-thirty-two-characters, too",
  REDIS_URL: "redis://127.0.0.1:6379/0",
  REDIS_PASSWORD: "a-password",
  SENTINEL_PASSWORD: "a-password",
  NATS_PASSWORD: "a-password",
  ROOMS_TOKEN: "a-token-of-servers",
  ADMIN_TOKEN: "a-token-of-operators",
  LIVEKIT_API_KEY: "devkey",
  LIVEKIT_API_SECRET: "a-secret-of-at-least-thirty-two-characters",
  OLD_API_KEY: "APIold",
  OLD_API_SECRET: "a-secret-of-at-least-thirty-two-characters",
  EU_API_KEY: "APIeu",
  EU_API_SECRET: "a-secret-of-at-least-thirty-two-characters",
  S3_SECRET: "a secret",
};

/** Mappings are merged, anything else is the second one's. */
function merged(base: unknown, over: unknown): unknown {
  if (!isSection(base) || !isSection(over)) return over === undefined ? base : over;
  const keys = new Set([...Object.keys(base), ...Object.keys(over)]);
  return Object.fromEntries([...keys].map(key => [key, merged(base[key], over[key])]));
}

function isSection(value: unknown): value is Section {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

const folder = mkdtempSync(join(tmpdir(), "protogate-docs-"));
after(() => rmSync(folder, { recursive: true }));

for (const page of pages)
  if (!isGuide(page) && page.blocks("yaml").length > 0)
    describe(`the configurations of ${page.path}`, { skip: withoutOpenssl }, () => describeYaml(page));

function describeYaml(page: Page): void {
  const own = join(folder, page.path.replaceAll("/", "-"));

  /** The files that they name. */
  before(() => {
    for (const name of ["protos", "third_party", "secrets", "build", "routes"])
      mkdirSync(join(own, name), { recursive: true });
    writeFileSync(join(own, "routes/none.yaml"), "");
    const keys = pages.flatMap(each => each.blocks("yaml")).find(block => Array.isArray(parse(block)));
    writeFileSync(join(own, "secrets/api-keys.yaml"), keys ?? "");
    writeFileSync(join(own, "build/api.binpb"), "");
    const credentials = "-----BEGIN NATS USER JWT-----\n…\n-----BEGIN USER NKEY SEED-----\n…\n";
    writeFileSync(join(own, "secrets/gateway.creds"), credentials);
    const authority = new Authority("Docs");
    const server = authority.issue("server", "/CN=localhost");
    const api = authority.issue("api", "/CN=api", "DNS.1 = api.example.com");
    const wildcard = authority.issue("wildcard", "/CN=wildcard", "DNS.1 = *.example.org");
    const files = { server, client: server, "api.example.com": api, "wildcard.example.org": wildcard };
    for (const [name, { cert, key }] of Object.entries(files)) {
      writeFileSync(join(own, `${name}.pem`), cert);
      writeFileSync(join(own, `${name}.key`), key);
    }
    writeFileSync(join(own, "ca.pem"), authority.ca.cert);
  });

  for (const [index, block] of page.blocks("yaml").entries()) {
    const given: unknown = parse(block);
    const keys = Array.isArray(given) ? "a key file" : Object.keys(given as Section).join(", ");
    it(`block ${index + 1} (${keys}) loads without a warning`, async () => {
      const file = join(own, `${index}.yaml`);
      if (Array.isArray(given)) {
        writeFileSync(file, block);
        const { diagnostics } = readApiKeys(file, "partners", new Map());
        assert.deepEqual(diagnostics.map(formatDiagnostic), []);
        return;
      }
      writeFileSync(file, stringify(merged(common, given)));
      const loaded = loadConfig(file, env);
      assert.deepEqual(loaded.diagnostics.map(formatDiagnostic), []);
      // What other sources would define is not known here.
      if ("descriptors" in (given as Section)) return;
      assert.deepEqual(await problems(file), []);
    });
  }
}

async function problems(file: string): Promise<readonly string[]> {
  const loaded = readConfig(file, env);
  const runtime = createRuntime(loaded.config, createLogger("silent"));
  const channel = () => assert.fail("nothing is called");
  const rooms: Rooms = {
    get realtime() {
      return assert.fail("nothing is served");
    },
    get fallback() {
      return assert.fail("nothing is served");
    },
  };
  try {
    const compiled = await compile(loaded, new Map(), {
      runtime,
      rooms,
      authenticators: channel,
      channel,
      pace: createPace(),
      comments: true,
    });
    return compiled.diagnostics.map(formatDiagnostic);
  } catch (error) {
    if (error instanceof LoadError) return error.diagnostics.map(formatDiagnostic);
    throw error;
  }
}

describe("the proto blocks of the pages", () => {
  const folders = [join(root, "protos"), join(import.meta.dirname, "protos")];
  const files = folders.flatMap(each =>
    readdirSync(each, { recursive: true, encoding: "utf8" })
      .filter(name => name.endsWith(".proto"))
      .map(name => new Set(lines(readFileSync(join(each, name), "utf8")))),
  );

  for (const page of pages)
    for (const block of page.blocks("proto")) {
      // A whole file is loaded where the page's commands are executed.
      if (lines(block)[0]?.startsWith("syntax")) continue;
      it(`${page.path}: "${lines(block)[0]}" is part of a .proto file`, () =>
        assert.ok(files.some(file => lines(block).every(line => file.has(line)))));
    }
});

function lines(proto: string): string[] {
  return proto
    .trim()
    .split("\n")
    .map(line => line.trim());
}
