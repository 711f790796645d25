/** Requests as the page handles them: `{ method, target, headers: [[name, value]], body }`; `target` is path and query. */

/** The variables of a template, `{name=books/*}`, in order. */
export function variablesOf(template) {
  return [...template.matchAll(/\{([^}=]+)(?:=([^}]*))?\}/g)].map(([, name, pattern = "*"]) => ({
    name,
    pattern,
  }));
}

/** The path that values make of a template; a variable without one stays. Slashes separate segments where it takes several. */
export function pathOf(template, values) {
  return template.replace(/\{([^}=]+)(?:=([^}]*))?\}/g, (variable, name, pattern = "*") => {
    const value = values[name] ?? "";
    if (value === "") return variable;
    return pattern === "*" ? encodeURIComponent(value) : value.split("/").map(encodeURIComponent).join("/");
  });
}

/** @param pairs `[name, value]` each */
export function queryOf(pairs) {
  return pairs
    .map(
      ([name, value]) =>
        `${encodeURIComponent(name).replaceAll("%5B", "[").replaceAll("%5D", "]")}=${encodeURIComponent(value)}`,
    )
    .join("&");
}

/** Lines `name: value`. @throws Error that names the line */
export function headersOf(text) {
  return text
    .split("\n")
    .map(line => line.trim())
    .filter(line => line !== "")
    .map(line => {
      const [, name, value] = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):\s*(.*)$/.exec(line) ?? [];
      if (name === undefined) throw new Error(`expected "name: value", found "${line.slice(0, 60)}"`);
      return [name.toLowerCase(), value];
    });
}

export function targetOf(path, query) {
  return query === "" ? path : `${path}?${query}`;
}

/** The request as a command. @param origin such as `https://api.example.com` */
export function curlOf({ method, target, headers, body, form }, origin) {
  const lines = [
    `curl ${method === "GET" ? "" : method === "HEAD" ? "--head " : `-X ${method} `}${quoted(origin + target)}`,
  ];
  for (const [name, value] of headers) lines.push(`-H ${quoted(`${name}: ${value}`)}`);
  for (const [option, word] of form?.words() ?? []) lines.push(`${option} ${quoted(word)}`);
  if (body !== undefined && body !== "") lines.push(`--data-raw ${quoted(body)}`);
  return lines.join(" \\\n  ");
}

/** For a POSIX shell. */
function quoted(text) {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/**
 * Reads what people paste: a curl command, or a request as it goes over the wire.
 * @throws Error that says what is missing
 */
export function parsePasted(text) {
  const trimmed = text.trim();
  if (trimmed.length > 256 * 1024) throw new Error("a request of more than 256 KiB cannot be pasted");
  return /^\$?\s*curl\s/.test(trimmed) ? parseCurl(trimmed.replace(/^\$\s*/, "")) : parseRaw(trimmed);
}

function parseRaw(text) {
  const [head, ...rest] = text.replace(/\r\n/g, "\n").split("\n\n");
  const [first = "", ...lines] = head.split("\n");
  const [, method, target] = /^([A-Za-z]+)\s+(\S+)(?:\s+HTTP\/[\d.]+)?\s*$/.exec(first) ?? [];
  if (method === undefined)
    throw new Error('expected a first line such as "GET /v1/articles HTTP/1.1", or a curl command');
  return {
    method: method.toUpperCase(),
    target: localTarget(target),
    headers: headersOf(lines.join("\n")),
    body: rest.join("\n\n"),
  };
}

function parseCurl(command) {
  const words = shellWords(command).slice(1);
  const request = { method: undefined, target: undefined, headers: [], body: undefined };
  let get = false;
  for (let at = 0; at < words.length; at++) {
    const word = words[at];
    const [option, glued] = /^--[a-z-]+=/.test(word)
      ? [word.slice(0, word.indexOf("=")), word.slice(word.indexOf("=") + 1)]
      : /^-[XHdbuA]./.test(word)
        ? [word.slice(0, 2), word.slice(2)]
        : [word];
    const next = () => glued ?? words[++at] ?? "";
    if (option === "-X" || option === "--request") request.method = next().toUpperCase();
    else if (option === "-H" || option === "--header") request.headers.push(...headersOf(next()));
    else if (option === "--url") request.target = localTarget(next());
    else if (["-d", "--data", "--data-raw", "--data-binary", "--data-ascii", "--json"].includes(option)) {
      const data = next();
      request.body = request.body === undefined ? data : `${request.body}&${data}`;
      if (option === "--json") request.headers.push(["content-type", "application/json"]);
    } else if (option === "-G" || option === "--get") get = true;
    else if (option === "-I" || option === "--head") request.method = "HEAD";
    else if (option === "-b" || option === "--cookie") request.headers.push(["cookie", next()]);
    else if (option === "-A" || option === "--user-agent") request.headers.push(["user-agent", next()]);
    else if (option === "-u" || option === "--user")
      request.headers.push(["authorization", `Basic ${btoa(unescape(encodeURIComponent(next())))}`]);
    else if (
      [
        "-o",
        "--output",
        "-w",
        "--write-out",
        "-m",
        "--max-time",
        "--connect-timeout",
        "--cacert",
        "--cert",
        "--key",
        "-E",
        "-x",
        "--proxy",
        "-e",
        "--referer",
      ].includes(option)
    )
      next();
    else if (!word.startsWith("-")) request.target = localTarget(word);
  }
  if (request.target === undefined) throw new Error("the curl command has no URL");
  if (get && request.body !== undefined) {
    request.target += `${request.target.includes("?") ? "&" : "?"}${request.body}`;
    request.body = undefined;
  }
  return {
    ...request,
    method: request.method ?? (request.body === undefined ? "GET" : "POST"),
    body: request.body ?? "",
  };
}

/** Path and query of a URL, whatever host it names. */
function localTarget(text) {
  const target = text.replace(/^[a-z][a-z0-9+.-]*:\/\/[^/?#]*/i, "").replace(/#.*$/s, "");
  if (target.startsWith("/")) return target;
  const path = /^[\w.-]+(?::\d+)?(\/.*)$/s.exec(target)?.[1];
  return (
    path ??
    (target.startsWith("?") || target === ""
      ? `/${target}`
      : `/${target.replace(/^[^/?]*/, "").replace(/^\//, "")}`)
  );
}

/** The words of a command of a POSIX shell, without substitutions. */
function shellWords(command) {
  const words = [];
  let word;
  for (let at = 0; at < command.length; at++) {
    const char = command[at];
    if (char === "\\") {
      at += 1;
      if (command[at] === "\r") at += 1;
      if (command[at] !== "\n") word = (word ?? "") + (command[at] ?? "");
    } else if (char === "'" || char === '"') {
      word ??= "";
      for (at += 1; at < command.length && command[at] !== char; at++) {
        if (char === '"' && command[at] === "\\" && '"\\$`\n'.includes(command[at + 1])) at += 1;
        word += command[at];
      }
    } else if (/\s/.test(char)) {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else word = (word ?? "") + char;
  }
  if (word !== undefined) words.push(word);
  return words;
}
