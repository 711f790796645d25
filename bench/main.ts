/**
 * CPU per request of the gateway beside a bare handler, in one interleaved run: small GET of contract A.
 * `npm run bench`; `-- --quick` for fewer pairs.
 */
import { Agent, request } from "node:http";
import { Child } from "./child.js";

const quick = process.argv.includes("--quick");
const pairs = quick ? 3 : 9;
const requestsPerRound = 3000;
const connections = 10;
const path = "/v1/messages/123456?revision=2&sub.subfield=foo";

interface Round {
  readonly cpuMicroseconds: number;
  readonly requestsPerSecond: number;
}

const backend = await Child.start("backend", {});
const env = { BACKEND_PORT: String(backend.port) };
const [naive, subject] = await Promise.all([Child.start("naive", env), Child.start("subject", env)]);
const agent = new Agent({ keepAlive: true, maxSockets: connections });
try {
  await round(naive);
  await round(subject);
  const rounds: { naive: Round; subject: Round }[] = [];
  for (let pair = 0; pair < pairs; pair += 1)
    rounds.push({ naive: await round(naive), subject: await round(subject) });

  const of = (pick: (pair: (typeof rounds)[number]) => number): number => median(rounds.map(pick));
  const ratios = rounds
    .map(pair => pair.naive.cpuMicroseconds / pair.subject.cpuMicroseconds)
    .sort((a, b) => a - b);
  const row = (name: string, cpu: number, rate: number, rss: number): string =>
    `${name.padEnd(12)}${cpu.toFixed(0).padStart(8)} µs CPU${rate.toFixed(0).padStart(8)} req/s${(rss / 2 ** 20).toFixed(0).padStart(6)} MiB RSS`;
  process.stdout.write(
    `GET ${path}: ${connections} connections, ${pairs} pairs of ${requestsPerRound} requests, medians\n` +
      `${row(
        "naive",
        of(pair => pair.naive.cpuMicroseconds),
        of(pair => pair.naive.requestsPerSecond),
        naive.rss(),
      )}\n` +
      `${row(
        "protogate",
        of(pair => pair.subject.cpuMicroseconds),
        of(pair => pair.subject.requestsPerSecond),
        subject.rss(),
      )}\n` +
      `naive ÷ protogate, CPU: ${median(ratios).toFixed(2)} (${ratios[0]?.toFixed(2)} to ${ratios.at(-1)?.toFixed(2)}); above 1 the gateway is better\n`,
  );
} finally {
  agent.destroy();
  await Promise.all([backend, naive, subject].map(child => child.stop()));
}

async function round(server: Child): Promise<Round> {
  const cpu = server.cpuSeconds();
  const started = performance.now();
  let left = requestsPerRound;
  const worker = async (): Promise<void> => {
    while (left > 0) {
      left -= 1;
      await get(server.port);
    }
  };
  await Promise.all(Array.from({ length: connections }, worker));
  return {
    cpuMicroseconds: ((server.cpuSeconds() - cpu) / requestsPerRound) * 1e6,
    requestsPerSecond: requestsPerRound / ((performance.now() - started) / 1000),
  };
}

function get(port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    request({ host: "127.0.0.1", port, path, agent }, response => {
      if (response.statusCode !== 200) reject(new Error(`status ${response.statusCode}`));
      response.resume();
      response.on("end", resolve);
    })
      .on("error", reject)
      .end();
  });
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
}
