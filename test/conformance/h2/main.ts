import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ServerTls } from "../../../src/net/server-tls.js";
import type { Engine } from "../../../src/server/engine.js";
import { startFastifyEngine } from "../../../src/server/node/fastify-engine.js";
import { notForSharedPort, obtainH2spec, runH2spec } from "./h2spec.js";

/** Runs h2spec against a listener in plain text and over TLS. */
const spec = obtainH2spec();
if (typeof spec === "string") {
  console.log(`h2spec is skipped: ${spec}`);
} else {
  await check(spec.file, undefined);
  const tls = makeCertificate();
  if (tls === undefined) console.log("h2spec over TLS is skipped: openssl is not installed");
  else await check(spec.file, tls);
}

async function check(file: string, tls: ServerTls | undefined): Promise<void> {
  const engine = await startServer(tls);
  const { run, failed, output } = await runH2spec(file, engine.port, tls !== undefined);
  engine.destroy();
  await engine.close();
  const explained = tls === undefined ? failed.filter(each => each === notForSharedPort) : [];
  const passed = run > 100 && failed.length === explained.length;
  if (!passed) process.stdout.write(output);
  const where = tls === undefined ? "in plain text" : "over TLS";
  const but =
    explained.length === 0 ? "" : `; ${notForSharedPort} cannot pass where HTTP/1.1 is served beside`;
  console.log(`h2spec ${where}: ${run} cases, ${run - failed.length} passed${but}`);
  if (!passed) process.exitCode = 1;
}

/** A listener that answers every request once it has arrived, with more bytes than the smallest window that h2spec sets. */
function startServer(tls: ServerTls | undefined): Promise<Engine> {
  return startFastifyEngine({
    host: "127.0.0.1",
    port: 0,
    tls,
    http2: true,
    headerLimit: 16_384,
    requestTimeout: 10_000,
    refused: () => undefined,
    handle: async (request, response) => {
      try {
        await request.body(1 << 20);
        response.send(200, [["content-type", "text/plain"]], "It works.");
      } catch {
        response.abandon();
      }
    },
  });
}

/** A certificate that signs itself; undefined without openssl. */
function makeCertificate(): ServerTls | undefined {
  const folder = mkdtempSync(join(tmpdir(), "protogate-h2spec-"));
  const certFile = join(folder, "cert.pem");
  const keyFile = join(folder, "key.pem");
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", keyFile];
  try {
    execFileSync(
      "openssl",
      ["req", "-x509", ...key, "-days", "2", "-subj", "/CN=localhost", "-out", certFile],
      {
        stdio: "ignore",
      },
    );
    return { certFile, keyFile, cert: readFileSync(certFile), key: readFileSync(keyFile) };
  } catch {
    return undefined;
  } finally {
    rmSync(folder, { recursive: true });
  }
}
