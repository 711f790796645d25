import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { startGateway } from "../../src/gateway/gateway.js";
import { listening } from "../../src/gateway/listener.js";
import { readConfig, type UsableConfig } from "../../src/gateway/read-config.js";
import { Authority, withoutOpenssl } from "../auth/certificates.js";
import { startTestGateway } from "./harness.js";

const folder = mkdtempSync(join(tmpdir(), "protogate-"));
after(() => rmSync(folder, { recursive: true }));

function written(yaml: string): string {
  const file = join(folder, "gateway.yaml");
  writeFileSync(file, yaml);
  return file;
}

function read(yaml: string, env = {}): UsableConfig {
  return readConfig(written(yaml), env);
}

async function messageOf(action: () => unknown): Promise<string> {
  try {
    await action();
  } catch (error) {
    const lines = (error as Error).message.replaceAll(`${folder}/`, "").split("\n");
    return lines.filter(line => !line.includes(": warning: ")).join("\n");
  }
  throw new Error("nothing was thrown");
}

describe("a listener that cannot listen", () => {
  it("a listener that cannot listen fails with its address, and nothing else is logged", async () => {
    const taken = createServer().listen(0, "127.0.0.1");
    await once(taken, "listening");
    const { port } = taken.address() as AddressInfo;
    const file = written(
      `listeners: { http: { address: "127.0.0.1:${port}" }, admin: { address: 127.0.0.1:0 } }\n`,
    );
    const log: string[] = [];
    const logTo = { write: (line: string) => void log.push(line) };
    const said = await messageOf(() => startGateway(file, { env: {}, logTo }));
    taken.close();
    assert.equal(
      said,
      `gateway.yaml:1:31: error: 127.0.0.1:${port} is in use by another process (at listeners.http.address)`,
    );
    const lines = log.map(line => JSON.parse(line) as { level: string; msg: string });
    assert.deepEqual(
      lines.filter(({ msg }) => !msg.includes("no service")).map(({ msg }) => msg),
      [],
    );
  });

  const failing = (code: string) => async (): Promise<never> => {
    throw Object.assign(new Error("no"), { code });
  };
  const yaml = "listeners: { http: { address: api.example:80 }, admin: { address: 127.0.0.1:0 } }\n";
  for (const [code, words] of [
    ["EADDRINUSE", "api.example:80 is in use by another process"],
    ["EACCES", "listening on api.example:80 needs more privileges"],
    ["EADDRNOTAVAIL", "api.example:80 does not belong to this machine"],
    ["ENOTFOUND", "the host name of api.example:80 does not resolve"],
  ] as const) {
    it(`a listener that cannot listen fails in words for ${code}`, async () => {
      const said = await messageOf(() => listening(read(yaml), ["listeners", "http"], failing(code)));
      assert.equal(said, `gateway.yaml:1:31: error: ${words} (at listeners.http.address)`);
    });
  }

  it("a listener that cannot listen fails without an address that comes from the environment", async () => {
    const loaded = read('listeners: { http: { address: "$' + '{WHERE}:80" } }\n', {
      WHERE: "hidden.example",
    });
    const said = await messageOf(() => listening(loaded, ["listeners", "http"], failing("EADDRINUSE")));
    assert.equal(
      said,
      "gateway.yaml:1:31: error: the address is in use by another process (at listeners.http.address)",
    );
  });
});

describe("reflection that fails", () => {
  it("reflection that fails is a warning of one line", async () => {
    const gateway = await startTestGateway("", {});
    gateway.write(
      "gateway.yaml",
      `descriptors: [{ reflection: a }]
upstreams: { a: { targets: ["127.0.0.1:1"] } }
`,
    );
    const stuck = gateway.reload();
    const line = await gateway.logged(({ msg }) => String(msg).includes("reflection of upstream"));
    assert.equal(line.level, "warn");
    assert.match(String(line.error), /^reflection failed with UNAVAILABLE: [^\n]+$/);
    await gateway.close();
    await stuck;
  });
});

describe("certificates", { skip: withoutOpenssl }, () => {
  const authority = withoutOpenssl ? undefined : new Authority("test");
  const place = "(at listeners.http.tls)";
  const yaml = (cert: string, key: string): string =>
    `listeners:\n  http: { address: 127.0.0.1:0, tls: { cert: ${cert}, key: ${key} } }\n`;

  it("a file that is not a certificate is named in the error", async () => {
    const { certFile, keyFile } = authority?.issue("good", "/CN=good") ?? { certFile: "", keyFile: "" };
    const other = authority?.issue("other", "/CN=other").keyFile ?? "";
    const broken = join(folder, "broken.pem");
    writeFileSync(broken, "nothing");
    const said = (cert: string, key: string) => messageOf(() => read(yaml(cert, key)));
    const where = "gateway.yaml:2:33: error:";
    assert.equal(await said(broken, keyFile), `${where} "broken.pem" holds no PEM certificate ${place}`);
    assert.equal(await said(certFile, broken), `${where} "broken.pem" holds no PEM private key ${place}`);
    assert.equal(await said(keyFile, certFile), `${where} "${keyFile}" holds no PEM certificate ${place}`);
    assert.equal(await said(certFile, other), `${where} the key does not belong to the certificate ${place}`);
    await assert.rejects(
      async () =>
        read(`${yaml(certFile, keyFile)}upstreams: { a: { targets: [a:1], tls: { ca: broken.pem } } }\n`),
      /error: "[^"]*broken\.pem" holds no PEM certificate \(at upstreams\.a\.tls\)$/,
    );
  });
});
