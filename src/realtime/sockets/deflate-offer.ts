/** A client's offer of permessage-deflate that is accepted. */
export interface AcceptedDeflate {
  /** For `sec-websocket-extensions` of the response. */
  readonly response: string;
}

/**
 * The first offer of permessage-deflate that can be kept to; what is no valid offer is declined, as RFC 7692 section
 * 7.1 has it. Messages are compressed one by one and with the whole window, so that all members of a room can be sent
 * the same bytes: an offer that asks for a smaller window is declined, too.
 * @param header `sec-websocket-extensions`, several lines joined by commas
 */
export function acceptDeflate(header: string | undefined): AcceptedDeflate | undefined {
  for (const offer of header?.split(",") ?? []) {
    const [name, ...rest] = offer.split(";").map(each => each.trim());
    if (name !== "permessage-deflate") continue;
    const params = readParameters(rest);
    if (params === undefined) continue;
    const window = params.get("server_max_window_bits");
    if (window !== undefined && window !== widest) continue;
    const response = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
    return { response: window === undefined ? response : `${response}; server_max_window_bits=${widest}` };
  }
  return undefined;
}

const widest = "15";

/** @returns undefined where one is unknown, is there twice or has a value that it cannot have */
function readParameters(texts: readonly string[]): ReadonlyMap<string, string> | undefined {
  const params = new Map<string, string>();
  for (const text of texts) {
    const [, name = "", quoted, token] = parameter.exec(text) ?? [];
    const value = quoted ?? token;
    const isValid = values.get(name);
    if (isValid?.(value) !== true || params.has(name)) return undefined;
    params.set(name, value ?? "");
  }
  return params;
}

const parameter = /^([a-z_]+)(?:\s*=\s*(?:"([^"]*)"|([^"\s]+)))?$/;
const bits = /^(?:[89]|1[0-5])$/;

/** What the values of parameters can be (RFC 7692 section 7.1). */
const values: ReadonlyMap<string, (value: string | undefined) => boolean> = new Map([
  ["server_no_context_takeover", (value: string | undefined) => value === undefined],
  ["client_no_context_takeover", (value: string | undefined) => value === undefined],
  ["server_max_window_bits", (value: string | undefined) => value !== undefined && bits.test(value)],
  ["client_max_window_bits", (value: string | undefined) => value === undefined || bits.test(value)],
]);
