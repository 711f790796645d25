/** One response as it came over a connection. */
export interface RawResponse {
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
}

export interface RawResponses {
  readonly responses: readonly RawResponse[];
  /** What is behind them: bytes of another protocol after a 101, or of a response that is not complete. */
  readonly rest: string;
}

/**
 * Reads final responses one after the other, with bodies of a known length or in chunks.
 * @param methods of the requests, since a response to HEAD has no body
 * @throws Error where something else stands where a response begins
 */
export function readResponses(text: string, methods: readonly string[]): RawResponses {
  const responses: RawResponse[] = [];
  let rest = text;
  while (rest !== "") {
    const end = rest.indexOf("\r\n\r\n");
    if (end < 0) break;
    const [line = "", ...fields] = rest.slice(0, end).split("\r\n");
    const status = Number(/^HTTP\/1\.1 (\d{3})(?: |$)/.exec(line)?.[1]);
    if (Number.isNaN(status)) throw new Error(`no response: ${JSON.stringify(rest.slice(0, 80))}`);
    const headers = new Map(fields.map(field => splitOnce(field)));
    const behind = rest.slice(end + 4);
    if (status >= 100 && status < 200 && status !== 101) {
      rest = behind;
      continue;
    }
    const bodyless = methods[responses.length] === "HEAD" || status === 204 || status === 304;
    const length = bodyless || status === 101 ? 0 : Number(headers.get("content-length") ?? 0);
    if (behind.length < length) break;
    responses.push({ status, headers, body: behind.slice(0, length) });
    rest = behind.slice(length);
    if (status === 101) break;
  }
  return { responses, rest };
}

function splitOnce(field: string): [name: string, value: string] {
  const colon = field.indexOf(":");
  return [field.slice(0, colon).toLowerCase(), field.slice(colon + 1).trim()];
}
