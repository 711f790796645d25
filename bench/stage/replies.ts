import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { reading, rows, smallReply, tick } from "../content.js";
import { encode, loadTypes } from "../protobuf.js";

/**
 * Writes what the upstream answers: `Method.bin`, and `Method.echo.bin` where the request follows as field 2. Both
 * upstreams, Go's and Node's, read them. They know of streams themselves: `Method.stream.bin` is what is sent over and
 * over.
 */
export function writeReplies(folder: string): void {
  const types = loadTypes();
  const write = (file: string, type: string, json: object): void =>
    writeFileSync(join(folder, file), encode(types.lookupType(`bench.v1.${type}`), json));
  write("GetMessage.echo.bin", "GetMessageResponse", { text: smallReply.text });
  write("UpdateMessage.echo.bin", "UpdateMessageResponse", { status: "UPDATED" });
  write("ListRows.bin", "ListRowsResponse", rows);
  write("GetReading.bin", "Reading", reading);
  write("WatchTicks.stream.bin", "Tick", tick);
}
