/**
 * A process that calls by one transport. Its environment tells which (`CALLER`), whom (`UPSTREAM`, host:port), over how
 * many connections (`CONNECTIONS`, else one), what to send and what must come back (`REQUEST`, `REPLY`, hexadecimal).
 * Answers `run IN_FLIGHT MILLISECONDS REQUESTS`.
 */
import { answers, waitForQuestions } from "../process/control-probe.js";
import { type Caller, callers, type Done } from "./callers.js";

const { CALLER = "", UPSTREAM = "", CONNECTIONS = "1", REQUEST = "", REPLY = "" } = process.env;
const request = Buffer.from(REQUEST, "hex");
const expected = Buffer.from(REPLY, "hex");
const open = callers[CALLER];
if (open === undefined) throw new Error(`there is no caller "${CALLER}"`);
const calls = Array.from({ length: Number(CONNECTIONS) }, () => open(UPSTREAM));

/** Every call must have succeeded, with the right reply. */
function requireReply(failure: string | undefined, reply: Uint8Array | undefined): void {
  if (failure !== undefined) throw new Error(`${CALLER}: ${failure}`);
  if (reply === undefined || !expected.equals(reply)) throw new Error(`${CALLER} got a wrong reply`);
}

/** Keeps so many calls under way until the first bound is reached. */
function run(inFlight: number, milliseconds: number, most: number): Promise<string> {
  return new Promise(resolve => {
    const started = performance.now();
    const deadline = started + milliseconds;
    let sent = 0;
    let done = 0;
    const keepBusy = (call: Caller): void => {
      const answered: Done = (failure, reply) => {
        requireReply(failure, reply);
        done += 1;
        const now = performance.now();
        if (sent < most && now < deadline) {
          sent += 1;
          call(request, answered);
        } else if (done === sent) {
          resolve(JSON.stringify({ requests: done, seconds: (now - started) / 1000 }));
        }
      };
      call(request, answered);
    };
    const first = Math.min(inFlight, most);
    for (; sent < first; sent += 1) keepBusy(calls[sent % calls.length] as Caller);
  });
}

answers.set("run", rest => {
  const [inFlight = 0, milliseconds = 0, requests = 0] = rest.split(" ").map(Number);
  return run(inFlight, milliseconds, requests);
});

waitForQuestions();
let missing = calls.length;
for (const call of calls) {
  call(request, (failure, reply) => {
    requireReply(failure, reply);
    missing -= 1;
    if (missing === 0) process.stdout.write("ready\n");
  });
}
