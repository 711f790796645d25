import { message, reading, rows, smallReply, smallRequest } from "../content.js";

/** One kind of request, and the answer that every server must give to it. */
export interface Workload {
  readonly name: string;
  readonly method: "GET" | "POST";
  readonly target: string;
  readonly body?: object;
  readonly expected: object;
  /** Requests of a batch of the warm-up. */
  readonly batch: number;
}

export const connectionCounts: readonly number[] = [1, 10, 100];

export const smallGet: Workload = {
  name: "small GET",
  method: "GET",
  target: "/v1/messages/123456?revision=2&sub.subfield=foo",
  expected: smallReply,
  batch: 2000,
};

export const workloads: readonly Workload[] = [
  smallGet,
  {
    name: "POST of 1 KiB",
    method: "POST",
    target: "/v1/messages/123456",
    body: message,
    expected: { status: "UPDATED", request: { messageId: smallRequest.messageId, message } },
    batch: 2000,
  },
  {
    name: "reply of 1,000 rows",
    method: "GET",
    target: "/v1/rows?page_size=1000",
    expected: rows,
    batch: 200,
  },
  {
    name: "int64, double, timestamp fields",
    method: "GET",
    target: "/v1/sensors/roof-7/reading",
    expected: reading,
    batch: 2000,
  },
];

/** The request as it goes over the wire. */
export function requestBytes(
  { method, target, body }: Pick<Workload, "method" | "target" | "body">,
  accept = "application/json",
): Buffer {
  const head = `${method} ${target} HTTP/1.1\r\nhost: localhost\r\naccept: ${accept}\r\n`;
  if (body === undefined) return Buffer.from(`${head}\r\n`);
  const bytes = Buffer.from(JSON.stringify(body));
  const entity = `content-type: application/json\r\ncontent-length: ${bytes.length}\r\n`;
  return Buffer.concat([Buffer.from(`${head}${entity}\r\n`), bytes]);
}
