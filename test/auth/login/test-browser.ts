import { once } from "node:events";
import http from "node:http";
import { text } from "node:stream/consumers";

/** A request as a browser sends it. */
export interface BrowserRequest {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

export interface BrowserResponse {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
}

/** Sends a request to a server; redirects are not followed. */
export type Reach = (url: URL, request: BrowserRequest) => Promise<BrowserResponse>;

/** By HTTP, to where a server really listens. Not by `fetch`, which sends `Sec-Fetch-Mode` of its own. */
export function reachAt(base: string): Reach {
  return async (url, { method = "GET", headers = {}, body }) => {
    const asked = http.request(new URL(url.pathname + url.search, base), { method, headers, agent: false });
    asked.end(body);
    const [response] = (await once(asked, "response")) as [http.IncomingMessage];
    const found = new Headers();
    for (const [name, values = []] of Object.entries(response.headersDistinct))
      for (const value of values) found.append(name, value);
    return { status: response.statusCode ?? 0, headers: found, text: await text(response) };
  };
}

/** Where a navigation has ended. */
export interface Visit extends BrowserResponse {
  readonly url: string;
  /** The URLs on the way, the last one included. */
  readonly urls: readonly string[];
}

const navigation = {
  accept: "text/html,application/xhtml+xml,*/*;q=0.8",
  "sec-fetch-mode": "navigate",
  "sec-fetch-dest": "document",
};

/** What a browser does about cookies, redirects and forms, for servers that need no script. */
export class TestBrowser {
  /** By origin. */
  readonly #servers: ReadonlyMap<string, Reach>;
  /** By origin and name. */
  readonly cookies = new Map<string, Map<string, string>>();

  constructor(servers: Readonly<Record<string, Reach>>) {
    this.#servers = new Map(Object.entries(servers));
  }

  /** One request, with the cookies of its origin. */
  async send(target: string, request: BrowserRequest = {}): Promise<BrowserResponse> {
    const url = new URL(target);
    const reach = this.#servers.get(url.origin);
    if (reach === undefined) throw new Error(`there is no server at ${url.origin}`);
    const jar = this.cookies.get(url.origin) ?? new Map<string, string>();
    this.cookies.set(url.origin, jar);
    const cookie = [...jar].map(([name, value]) => `${name}=${value}`).join("; ");
    const headers = { ...(cookie !== "" && { cookie }), ...request.headers };
    const response = await reach(url, { ...request, headers });
    for (const line of response.headers.getSetCookie()) {
      const [, name = "", value = ""] = /^([^=]+)=([^;]*)/.exec(line) ?? [];
      if (value === "" || /; *max-age=0\b|expires=Thu, 01 Jan 1970/i.test(line)) jar.delete(name);
      else jar.set(name, value);
    }
    return response;
  }

  /** Opens a page as a person does, through all redirects. @param site `Sec-Fetch-Site` of the first request */
  async open(target: string, request: BrowserRequest = {}, site = "none"): Promise<Visit> {
    const urls: string[] = [];
    let [url, sent] = [target, request];
    while (urls.length < 20) {
      const origin = new URL(url).origin;
      const foreign = urls.some(each => new URL(each).origin !== origin);
      const headers = { ...navigation, "sec-fetch-site": foreign ? "cross-site" : site, ...sent.headers };
      const response = await this.send(url, { ...sent, headers });
      urls.push(url);
      const location = response.headers.get("location");
      if (response.status < 300 || response.status > 399 || location === null)
        return { ...response, url, urls };
      url = new URL(location, url).href;
      sent = {};
    }
    throw new Error(`too many redirects: ${urls.join(" ")}`);
  }

  /** Sends the form of a page. @param fields replace those of the page */
  submit(page: Visit, fields: Readonly<Record<string, string>> = {}): Promise<Visit> {
    const action = /<form[^>]* action="([^"]*)"/.exec(page.text)?.[1];
    if (action === undefined) throw new Error(`no form at ${page.url}: ${page.status} ${page.text}`);
    const hidden = [...page.text.matchAll(/<input type="hidden" name="([^"]*)" value="([^"]*)"/g)];
    const form = new URLSearchParams();
    for (const [, name = "", value = ""] of hidden) form.set(name, value);
    for (const [name, value] of Object.entries(fields)) form.set(name, value);
    const headers = { "content-type": "application/x-www-form-urlencoded" };
    const target = new URL(action, page.url).href;
    return this.open(target, { method: "POST", headers, body: form.toString() }, "same-origin");
  }

  /** Logs in on the pages of the issuer, and agrees to whatever it asks, until they lead elsewhere. */
  async logIn(page: Visit, login: string): Promise<Visit> {
    const { origin } = new URL(page.url);
    let at = page;
    while (new URL(at.url).origin === origin)
      at = await this.submit(at, at.text.includes('value="login"') ? { login, password: "any" } : {});
    return at;
  }
}
