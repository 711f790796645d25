/** Preloaded (`--import`) into a process with an IPC channel: each message is answered by the URLs of all scripts that were loaded. */
import { Session } from "node:inspector";

process.on("message", () => {
  const urls: string[] = [];
  const session = new Session();
  session.connect();
  session.on("Debugger.scriptParsed", ({ params }) => urls.push(params.url));
  // Reports the scripts from before as well, and only then calls back.
  session.post("Debugger.enable", () => {
    session.disconnect();
    process.send?.(urls);
  });
});
process.channel?.unref();
