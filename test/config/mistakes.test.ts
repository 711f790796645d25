import assert from "node:assert/strict";
import { test } from "node:test";
import { Workspace } from "./workspace.js";

const workspace = new Workspace({ "cert.pem": "", "folder/file": "" });

const listener = 'listeners: { http: { address: ":0" } }\n';
const upstream = `${listener}upstreams: { chat: { targets: ["localhost:1"] } }\n`;

interface Mistake {
  readonly what: string;
  readonly yaml: string;
  readonly said: readonly string[];
}

const mistakes: readonly Mistake[] = [
  {
    what: "an empty file",
    yaml: ``,
    said: [
      "gateway.yaml: error: expected a mapping, found nothing; a configuration needs at least listeners",
    ],
  },
  {
    what: "a list at the top of the file",
    yaml: `- a
`,
    said: ["gateway.yaml:1:1: error: expected a mapping, found a list"],
  },
  {
    what: "a missing section",
    yaml: `server: {}
`,
    said: ['gateway.yaml:1:1: error: missing key "listeners"; expected a mapping'],
  },
  {
    what: "a missing key, at the mapping that lacks it",
    yaml: `listeners: { http: {} }
`,
    said: [
      'gateway.yaml:1:14: error: missing key "address"; expected an address such as 0.0.0.0:8080, [::1]:8080 or :8080 (at listeners.http)',
    ],
  },
  {
    what: "a missing key of a block mapping, at the key of the mapping",
    yaml: `${listener}upstreams:
  chat:
    timeout: 1s
`,
    said: ['gateway.yaml:3:3: error: missing key "targets"; expected a list (at upstreams.chat)'],
  },
  {
    what: "an unknown section, with the nearest name",
    yaml: `${listener}upstream: {}
`,
    said: ['gateway.yaml:2:1: error: unknown key "upstream" (at upstream); did you mean "upstreams"?'],
  },
  {
    what: "an unknown key that is like none, with all names",
    yaml: `${listener}server: { colour: red }
`,
    said: ['gateway.yaml:2:11: error: unknown key "colour"; expected workers or drain (at server.colour)'],
  },
  {
    what: "an unknown key deep in the file",
    yaml: `${listener}upstreams:
  chat: { targets: [a:1], timeuot: 1s }
`,
    said: [
      'gateway.yaml:3:27: error: unknown key "timeuot" (at upstreams.chat.timeuot); did you mean "timeout"?',
    ],
  },
  {
    what: "a merge key",
    yaml: `${listener}server: { <<: { workers: 1 } }
`,
    said: [
      'gateway.yaml:2:11: error: "<<" merges in YAML 1.1 only; give the keys here, or one alias for the whole value (at server["<<"])',
    ],
  },
  {
    what: "a merge key in many places",
    yaml: `${listener}upstreams:
  a: &base { targets: [a:1] }
  b: { <<: *base, timeout: 1s }
  c: { <<: *base }
auth: { providers: { p: { <<: *base } } }
`,
    said: [
      'gateway.yaml:4:8: error: "<<" merges in YAML 1.1 only; give the keys here, or one alias for the whole value (at upstreams.b["<<"])',
    ],
  },
  {
    what: "a duplicate key",
    yaml: `${listener}server: {}
server: {}
`,
    said: ['gateway.yaml:3:1: error: duplicate key "server"; the first is on line 2 (at server)'],
  },
  {
    what: "a list for a key",
    yaml: `${listener}? [a]
: 1
`,
    said: ["gateway.yaml:2:3: error: a key is a list or a mapping; expected a name"],
  },
  {
    what: "a section without content",
    yaml: `${listener}services:
`,
    said: ["gateway.yaml:2:1: error: expected a list, found nothing (at services)"],
  },
  {
    what: "a mapping for a list",
    yaml: `${listener}services: {}
`,
    said: ["gateway.yaml:2:1: error: expected a list, found a mapping (at services)"],
  },
  {
    what: "a list for a mapping",
    yaml: `${listener}server: []
`,
    said: ["gateway.yaml:2:1: error: expected a mapping, found a list (at server)"],
  },
  {
    what: "a scalar for a mapping",
    yaml: `${listener}server: on
`,
    said: ['gateway.yaml:2:9: error: expected a mapping, found "on" (at server)'],
  },
  {
    what: "a duration with a space",
    yaml: `${listener}server: { drain: "5 s" }
`,
    said: [
      'gateway.yaml:2:18: error: expected a duration such as 250ms, 5s, 10m or 1h, found "5 s" (at server.drain); did you mean "5s"?',
    ],
  },
  {
    what: "a duration without unit",
    yaml: `${listener}server: { drain: 5 }
`,
    said: [
      "gateway.yaml:2:18: error: expected a duration such as 250ms, 5s, 10m or 1h, found 5 (at server.drain)",
    ],
  },
  {
    what: "a duration out of range",
    yaml: `${listener}server: { drain: 25h }
`,
    said: ['gateway.yaml:2:18: error: expected a duration from 0s to 24h, found "25h" (at server.drain)'],
  },
  {
    what: "a size in decimal units",
    yaml: `${listener}http: { limits: { body: 4MB } }
`,
    said: [
      'gateway.yaml:2:25: error: expected a size such as 64KiB, 4MiB or a number of bytes, found "4MB" (at http.limits.body); did you mean "4MiB"?',
    ],
  },
  {
    what: "a size out of range",
    yaml: `${listener}http: { limits: { header: 2MiB } }
`,
    said: [
      'gateway.yaml:2:27: error: expected a size from 1KiB to 1MiB, found "2MiB" (at http.limits.header)',
    ],
  },
  {
    what: "a fraction for a whole number",
    yaml: `${listener}http: { limits: { depth: 1.5 } }
`,
    said: [
      "gateway.yaml:2:26: error: expected a whole number from 1 to 1000, found 1.5 (at http.limits.depth)",
    ],
  },
  {
    what: "a whole number out of range",
    yaml: `${listener}http: { limits: { depth: 1001 } }
`,
    said: [
      "gateway.yaml:2:26: error: expected a whole number from 1 to 1000, found 1001 (at http.limits.depth)",
    ],
  },
  {
    what: "a quoted number",
    yaml: `${listener}http: { limits: { depth: "5" } }
`,
    said: [
      'gateway.yaml:2:26: error: expected a whole number from 1 to 1000, found "5" (at http.limits.depth)',
    ],
  },
  {
    what: "a YAML 1.1 boolean",
    yaml: `${upstream}services: [{ service: a.B, upstream: chat, json: { emit_defaults: yes } }]
`,
    said: [
      'gateway.yaml:3:67: error: expected true, false or with_null, found "yes" (at services[0].json.emit_defaults)',
    ],
  },
  {
    what: "an unknown word, with the allowed ones and the nearest",
    yaml: `${listener}telemetry: { log: { level: wran } }
`,
    said: [
      'gateway.yaml:2:28: error: expected trace, debug, info, warn, error, fatal or silent, found "wran" (at telemetry.log.level); did you mean "warn"?',
    ],
  },
  {
    what: "a number that is not allowed",
    yaml: `${upstream}services: [{ service: a.B, upstream: chat, empty_response: 205 }]
`,
    said: ["gateway.yaml:3:60: error: expected 200 or 204, found 205 (at services[0].empty_response)"],
  },
  {
    what: "a slip in the word none",
    yaml: `${listener}auth: { default: nonne }
`,
    said: ['gateway.yaml:2:18: error: there is no provider "nonne" (at auth.default); did you mean "none"?'],
  },
  {
    what: "a bare port for an address",
    yaml: `listeners: { http: { address: 8080 } }
`,
    said: [
      "gateway.yaml:1:31: error: expected an address such as 0.0.0.0:8080, [::1]:8080 or :8080, found 8080 (at listeners.http.address)",
    ],
  },
  {
    what: "a port above 65535",
    yaml: `listeners: { http: { address: "localhost:80800" } }
`,
    said: [
      'gateway.yaml:1:31: error: expected an address such as 0.0.0.0:8080, [::1]:8080 or :8080, found "localhost:80800" (at listeners.http.address)',
    ],
  },
  {
    what: "two listeners on one address",
    yaml: `listeners:
  http: { address: "127.0.0.1:80" }
  admin: { address: "127.0.0.1:80" }
`,
    said: [
      'gateway.yaml:3:21: error: listeners.http has that port already; expected another, found "127.0.0.1:80" (at listeners.admin.address)',
    ],
  },
  {
    what: "a listener on the default port of another",
    yaml: `listeners:
  http: { address: ":9090" }
`,
    said: [
      'gateway.yaml:1:1: error: listeners.http has that port already; expected another, found "127.0.0.1:9090" (at listeners.admin.address)',
    ],
  },
  {
    what: "an admin listener that others reach without authentication",
    yaml: `listeners:
  http: { address: ":80" }
  admin: { address: ":9090" }
`,
    said: [
      'gateway.yaml:3:21: error: an address that others reach needs "token" or "client_ca"; expected one of them, or an address on 127.0.0.1, found ":9090" (at listeners.admin.address)',
    ],
  },
  {
    what: "authorities of an admin listener without a certificate of its own",
    yaml: `listeners:
  http: { address: ":80" }
  admin: { client_ca: cert.pem, token: "" }
`,
    said: [
      'gateway.yaml:3:23: error: "client_ca" without "tls"; expected a certificate of the listener, too (at listeners.admin.client_ca)',
      'gateway.yaml:3:40: error: expected a string that is not empty, found "" (at listeners.admin.token)',
    ],
  },
  {
    what: "a certificate without key",
    yaml: `listeners: { http: { address: ":0", tls: { cert: cert.pem } } }
`,
    said: [
      'gateway.yaml:1:37: error: missing key "key"; expected the path of a file or folder (at listeners.http.tls)',
    ],
  },
  {
    what: "files that are missing or folders",
    yaml: `listeners: { http: { address: ":0", tls: { cert: nope.pem, key: folder } } }
`,
    said: [
      'gateway.yaml:1:50: error: expected a file, but "nope.pem" does not exist (at listeners.http.tls.cert)',
      'gateway.yaml:1:65: error: expected a file, but "folder" is not a file (at listeners.http.tls.key)',
    ],
  },
  {
    what: "a source of descriptors without its key",
    yaml: `${listener}descriptors: [{ refresh: 1s }]
`,
    said: [
      "gateway.yaml:2:15: error: expected one of the keys protos, set or reflection (at descriptors[0])",
    ],
  },
  {
    what: "a source of descriptors with a misspelt key",
    yaml: `${listener}descriptors: [{ protso: x }]
`,
    said: [
      'gateway.yaml:2:15: error: expected one of the keys protos, set or reflection (at descriptors[0]); did you mean "protos"?',
    ],
  },
  {
    what: "two sources of descriptors in one",
    yaml: `${listener}descriptors: [{ protos: folder, set: cert.pem }]
`,
    said: [
      "gateway.yaml:2:15: error: expected only one of the keys protos, set or reflection, found protos and set (at descriptors[0])",
    ],
  },
  {
    what: "a key of another kind of source",
    yaml: `${listener}descriptors: [{ protos: folder, refresh: 1s }]
`,
    said: [
      'gateway.yaml:2:33: error: unknown key "refresh"; expected protos, include or exclude (at descriptors[0].refresh)',
    ],
  },
  {
    what: "missing folders and sets",
    yaml: `${listener}descriptors: [{ protos: cert.pem, include: [nope] }, { set: nope }]
`,
    said: [
      'gateway.yaml:2:25: error: expected a folder, but "cert.pem" is not a folder (at descriptors[0].protos)',
      'gateway.yaml:2:45: error: expected a folder, but "nope" does not exist (at descriptors[0].include[0])',
      'gateway.yaml:2:61: error: expected a file, but "nope" does not exist (at descriptors[1].set)',
    ],
  },
  {
    what: "a reflection upstream that does not exist, with the nearest",
    yaml: `${upstream}descriptors: [{ reflection: chta }]
`,
    said: [
      'gateway.yaml:3:29: error: there is no upstream "chta" (at descriptors[0].reflection); did you mean "chat"?',
    ],
  },
  {
    what: "an upstream name with a space",
    yaml: `${listener}upstreams: { "a b": { targets: ["a:1"] } }
`,
    said: [
      'gateway.yaml:2:14: error: "a b" cannot be a name here; expected letters, digits, _, - and ., a letter or digit first, at most 63 characters (at upstreams["a b"])',
    ],
  },
  {
    what: "an upstream named __proto__",
    yaml: `${listener}upstreams: { __proto__: { targets: ["a:1"] } }
`,
    said: [
      'gateway.yaml:2:14: error: "__proto__" cannot be a name here; expected letters, digits, _, - and ., a letter or digit first, at most 63 characters (at upstreams.__proto__)',
    ],
  },
  {
    what: "no targets",
    yaml: `${listener}upstreams: { chat: { targets: [] } }
`,
    said: ["gateway.yaml:2:22: error: expected at least 1 item, found 0 (at upstreams.chat.targets)"],
  },
  {
    what: "targets of every wrong form",
    yaml: `${listener}upstreams:
  chat: { targets: ["http://a:1/x", "a", "a:0", "unix:x", "dns://8.8.8.8/a:1", 5] }
`,
    said: [
      'gateway.yaml:3:21: error: expected a target such as dns:///host:50051, host:50051, [::1]:50051 or unix:/path, found "http://a:1/x" (at upstreams.chat.targets[0]); did you mean "a:1"?',
      'gateway.yaml:3:37: error: expected a target such as dns:///host:50051, host:50051, [::1]:50051 or unix:/path, found "a" (at upstreams.chat.targets[1])',
      'gateway.yaml:3:42: error: expected a target such as dns:///host:50051, host:50051, [::1]:50051 or unix:/path, found "a:0" (at upstreams.chat.targets[2])',
      'gateway.yaml:3:49: error: expected a target such as dns:///host:50051, host:50051, [::1]:50051 or unix:/path, found "unix:x" (at upstreams.chat.targets[3])',
      'gateway.yaml:3:59: error: expected a target such as dns:///host:50051, host:50051, [::1]:50051 or unix:/path, found "dns://8.8.8.8/a:1" (at upstreams.chat.targets[4])',
      "gateway.yaml:3:80: error: expected a target such as dns:///host:50051, host:50051, [::1]:50051 or unix:/path, found 5 (at upstreams.chat.targets[5])",
    ],
  },
  {
    what: "tls: false",
    yaml: `${listener}upstreams:
  chat: { targets: ["a:1"], tls: false }
`,
    said: ["gateway.yaml:3:34: error: expected true or a mapping, found false (at upstreams.chat.tls)"],
  },
  {
    what: "a list for tls",
    yaml: `${listener}upstreams:
  chat: { targets: ["a:1"], tls: [] }
`,
    said: ["gateway.yaml:3:29: error: expected true or a mapping, found a list (at upstreams.chat.tls)"],
  },
  {
    what: "a client certificate without key",
    yaml: `${listener}upstreams:
  chat: { targets: ["a:1"], tls: { cert: cert.pem } }
`,
    said: [
      'gateway.yaml:3:29: error: "cert" without "key"; a client certificate needs both (at upstreams.chat.tls)',
    ],
  },
  {
    what: "a client key without certificate, and a wrong server name",
    yaml: `${listener}upstreams:
  chat: { targets: ["a:1"], tls: { key: cert.pem, server_name: "a b" } }
`,
    said: [
      'gateway.yaml:3:29: error: "key" without "cert"; a client certificate needs both (at upstreams.chat.tls)',
      'gateway.yaml:3:64: error: expected a host name or an IP address, found "a b" (at upstreams.chat.tls.server_name)',
    ],
  },
  {
    what: "every mistake of a retry policy",
    yaml: `${listener}upstreams:
  chat: { targets: ["a:1"], retry: { attempts: 0, on: [UNAVAILBLE, OK, ABORTED, ABORTED], budget: 1.5, backoff: 2s } }
`,
    said: [
      "gateway.yaml:3:29: error: expected at least the backoff, 2s, found 1s (at upstreams.chat.retry.max_backoff)",
      "gateway.yaml:3:48: error: expected a whole number from 1 to 10, found 0 (at upstreams.chat.retry.attempts)",
      'gateway.yaml:3:56: error: expected CANCELLED, UNKNOWN, INVALID_ARGUMENT, DEADLINE_EXCEEDED, NOT_FOUND, ALREADY_EXISTS, PERMISSION_DENIED, RESOURCE_EXHAUSTED, FAILED_PRECONDITION, ABORTED, OUT_OF_RANGE, UNIMPLEMENTED, INTERNAL, UNAVAILABLE, DATA_LOSS or UNAUTHENTICATED, found "UNAVAILBLE" (at upstreams.chat.retry.on[0]); did you mean "UNAVAILABLE"?',
      'gateway.yaml:3:68: error: expected CANCELLED, UNKNOWN, INVALID_ARGUMENT, DEADLINE_EXCEEDED, NOT_FOUND, ALREADY_EXISTS, PERMISSION_DENIED, RESOURCE_EXHAUSTED, FAILED_PRECONDITION, ABORTED, OUT_OF_RANGE, UNIMPLEMENTED, INTERNAL, UNAVAILABLE, DATA_LOSS or UNAUTHENTICATED, found "OK" (at upstreams.chat.retry.on[1])',
      'gateway.yaml:3:81: error: "ABORTED" is listed twice (at upstreams.chat.retry.on[3])',
      "gateway.yaml:3:99: error: expected a number from 0 to 1, found 1.5 (at upstreams.chat.retry.budget)",
    ],
  },
  {
    what: "a dangling upstream with a near name",
    yaml: `${upstream}services: [{ service: a.B, upstream: chatt }]
`,
    said: [
      'gateway.yaml:3:38: error: there is no upstream "chatt" (at services[0].upstream); did you mean "chat"?',
    ],
  },
  {
    what: "a dangling upstream with no near name",
    yaml: `${upstream}services: [{ service: a.B, upstream: orders }]
`,
    said: [
      'gateway.yaml:3:38: error: there is no upstream "orders"; declared are chat (at services[0].upstream)',
    ],
  },
  {
    what: "a dangling upstream where none is declared",
    yaml: `${listener}services: [{ service: a.B, upstream: orders }]
`,
    said: [
      'gateway.yaml:2:38: error: there is no upstream "orders"; none is declared (at services[0].upstream)',
    ],
  },
  {
    what: "a service that is exposed twice",
    yaml: `${upstream}services:
  - { service: a.B, upstream: chat }
  - { service: a.B, upstream: chat }
`,
    said: ['gateway.yaml:5:16: error: "a.B" is exposed by services[0] already (at services[1].service)'],
  },
  {
    what: "a selector in the form of a path",
    yaml: `${listener}http: { rules: [{ selector: pkg.S/M, get: /a }, { selector: /S/M, get: /b }, { selector: "a b", get: /c }] }
`,
    said: [
      'gateway.yaml:2:29: error: expected a full name such as package.Service.Method, found "pkg.S/M" (at http.rules[0].selector); did you mean "pkg.S.M"?',
      'gateway.yaml:2:61: error: expected a full name such as package.Service.Method, found "/S/M" (at http.rules[1].selector); did you mean "S.M"?',
      'gateway.yaml:2:90: error: expected a full name such as package.Service.Method, found "a b" (at http.rules[2].selector)',
    ],
  },
  {
    what: "a wrong service name and a wrong prefix",
    yaml: `${upstream}services: [{ service: /a.B, upstream: chat, prefix: blog/ }]
`,
    said: [
      'gateway.yaml:3:23: error: expected a full name such as package.Service, or package.** for all services of a package, found "/a.B" (at services[0].service)',
      'gateway.yaml:3:53: error: expected a path such as /blog or /{package}, without "/" at its end and without other variables, found "blog/" (at services[0].prefix)',
    ],
  },
  {
    what: "status codes that gRPC defines, that overlap, that end below their beginning or are no statuses of errors",
    yaml: `${upstream}services:
  - service: a.B
    upstream: chat
    status_codes: { 5: 404, 2000-2999: 400, 2500-3000: 409, 2500: 404, 9-8: 400, x: 400, 7000: 200, 99999999999: 500 }
service_defaults: { status_codes: { 16-20: 401 } }
`,
    said: [
      'gateway.yaml:6:24: error: "5" has codes that gRPC defines, whose statuses are fixed; expected codes from 17 (at services[0].status_codes["5"])',
      'gateway.yaml:6:56: error: "2500-3000" overlaps "2000-2999"; expected separate ranges (at services[0].status_codes["2500-3000"])',
      'gateway.yaml:6:77: error: "9-8" ends below its beginning; expected "8-9" (at services[0].status_codes["9-8"])',
      'gateway.yaml:6:82: error: "x" cannot be a name here; expected a code such as 5002, or a range such as 2000-2999 (at services[0].status_codes.x)',
      'gateway.yaml:6:96: error: expected a whole number from 400 to 599, found 200 (at services[0].status_codes["7000"])',
      'gateway.yaml:6:101: error: "99999999999" cannot be a name here; expected a code such as 5002, or a range such as 2000-2999 (at services[0].status_codes["99999999999"])',
      'gateway.yaml:7:44: error: "16-20" has codes that gRPC defines, whose statuses are fixed; expected codes from 17 (at service_defaults.status_codes["16-20"])',
    ],
  },
  {
    what: "references of service_defaults that lead nowhere",
    yaml: `${upstream}service_defaults: { auth: [users], rate_limit: logins, metadata: { request: [host] }, upstream: chat }
`,
    said: [
      'gateway.yaml:3:28: error: there is no provider "users"; none is declared (at service_defaults.auth[0])',
      'gateway.yaml:3:48: error: there is no rate limit "logins"; none is declared (at service_defaults.rate_limit)',
      'gateway.yaml:3:78: error: "host" cannot be passed on; the gateway and gRPC write it themselves (at service_defaults.metadata.request[0])',
      'gateway.yaml:3:87: error: unknown key "upstream" (at service_defaults.upstream); did you mean "stream"?',
    ],
  },
  {
    what: "an unknown source of bindings",
    yaml: `${upstream}services: [{ service: a.B, upstream: chat, bindings: [anotations] }]
`,
    said: [
      'gateway.yaml:3:55: error: expected annotations, convention or auto, found "anotations" (at services[0].bindings[0]); did you mean "annotations"?',
    ],
  },
  {
    what: "headers that cannot be passed on",
    yaml: `${upstream}services: [{ service: a.B, upstream: chat, metadata: { request: [Host, grpc-timeout, "a b", x-a, X-A] } }]
`,
    said: [
      'gateway.yaml:3:66: error: "host" cannot be passed on; the gateway and gRPC write it themselves (at services[0].metadata.request[0])',
      'gateway.yaml:3:72: error: "grpc-timeout" cannot be passed on; the gateway and gRPC write it themselves (at services[0].metadata.request[1])',
      'gateway.yaml:3:86: error: expected a header name of letters, digits, -, _ and ., or such a name with one *, found "a b" (at services[0].metadata.request[2])',
      'gateway.yaml:3:98: error: "x-a" is listed twice (at services[0].metadata.request[4])',
    ],
  },
  {
    what: "mistakes in the overrides of methods",
    yaml: `${upstream}services: [{ service: a.B, upstream: chat, methods: { a.B: {}, C: { prefix: /x, upstream: chat }, D: { metadata: { request: [User-Agent], response: [te, X-Request-Id] } } } }]
`,
    said: [
      'gateway.yaml:3:55: error: "a.B" cannot be a name here; expected the name of a method, without its service (at services[0].methods["a.B"])',
      'gateway.yaml:3:69: error: unknown key "prefix"; expected json, content_types, status_codes, success_status, protocols, errors, empty_response, timeout, stream, sse, metadata, query, limits, validate, auth or rate_limit (at services[0].methods.C.prefix)',
      'gateway.yaml:3:81: error: unknown key "upstream" (at services[0].methods.C.upstream); did you mean "stream"?',
      'gateway.yaml:3:126: error: "user-agent" cannot be passed on; the gateway and gRPC write it themselves (at services[0].methods.D.metadata.request[0])',
      'gateway.yaml:3:150: error: "te" cannot be passed on; the gateway and gRPC write it themselves (at services[0].methods.D.metadata.response[0])',
      'gateway.yaml:3:154: error: "x-request-id" cannot be passed on; the gateway and gRPC write it themselves (at services[0].methods.D.metadata.response[1])',
    ],
  },
  {
    what: "a rule without pattern",
    yaml: `${listener}http: { rules: [{ selector: a.B.C }] }
`,
    said: [
      "gateway.yaml:2:17: error: expected exactly one of get, put, post, delete, patch or custom, found none (at http.rules[0])",
    ],
  },
  {
    what: "a rule with two patterns",
    yaml: `${listener}http: { rules: [{ selector: a.B.C, get: /a, post: /b }] }
`,
    said: [
      "gateway.yaml:2:17: error: expected exactly one of get, put, post, delete, patch or custom, found get and post (at http.rules[0])",
    ],
  },
  {
    what: "a rule with a wrong template and body; the pattern counts as written",
    yaml: `${listener}http: { rules: [{ selector: a.B.C, get: a, body: a.b }] }
`,
    said: [
      'gateway.yaml:2:41: error: expected a path template that begins with /, such as /v1/{name=messages/*}, found "a" (at http.rules[0].get)',
      'gateway.yaml:2:50: error: expected the name of a top-level field, or "*" for all, found "a.b" (at http.rules[0].body)',
    ],
  },
  {
    what: "nested and empty additional bindings",
    yaml: `${listener}http: { rules: [{ selector: a.B.C, get: /a, additional_bindings: [{ get: /b, selector: a.B.C, additional_bindings: [] }, {}] }] }
`,
    said: [
      "gateway.yaml:2:78: error: a further route of a rule has no selector; it belongs to the method of the rule (at http.rules[0].additional_bindings[0].selector)",
      "gateway.yaml:2:95: error: additional_bindings do not nest; add a further item to the list of the rule (at http.rules[0].additional_bindings[0].additional_bindings)",
      "gateway.yaml:2:122: error: expected exactly one of get, put, post, delete, patch or custom, found none (at http.rules[0].additional_bindings[1])",
    ],
  },
  {
    what: "two rules for one method",
    yaml: `${listener}http:
  rules:
    - { selector: a.B.C, get: /a }
    - { selector: a.B.C, get: /b }
`,
    said: [
      'gateway.yaml:5:19: error: "a.B.C" has a rule already, http.rules[0]; add to its additional_bindings (at http.rules[1].selector)',
    ],
  },
  {
    what: "a custom pattern without path and with a wrong method",
    yaml: `${listener}http: { rules: [{ selector: a.B.C, custom: { kind: head } }] }
`,
    said: [
      'gateway.yaml:2:36: error: missing key "path"; expected a path template that begins with /, such as /v1/{name=messages/*} (at http.rules[0].custom)',
      'gateway.yaml:2:52: error: expected an HTTP method in capitals, such as HEAD, found "head" (at http.rules[0].custom.kind)',
    ],
  },
  {
    what: "buckets that do not ascend or are no numbers",
    yaml: `${listener}telemetry: { metrics: { buckets: [0.1, 0.1, 0.05, .inf, x] } }
`,
    said: [
      "gateway.yaml:2:40: error: expected a bound above the one before, 0.1, found 0.1 (at telemetry.metrics.buckets[1])",
      "gateway.yaml:2:45: error: expected a bound above the one before, 0.1, found 0.05 (at telemetry.metrics.buckets[2])",
      "gateway.yaml:2:51: error: expected a number of at least 0, found Infinity (at telemetry.metrics.buckets[3])",
      'gateway.yaml:2:57: error: expected a number of at least 0, found "x" (at telemetry.metrics.buckets[4])',
    ],
  },
  {
    what: "a negative number of hops",
    yaml: `${listener}http: { forwarded: { trusted_hops: -1 } }
`,
    said: [
      "gateway.yaml:2:36: error: expected a whole number from 0 to 100, found -1 (at http.forwarded.trusted_hops)",
    ],
  },
  {
    what: "no worker",
    yaml: `${listener}server: { workers: 0 }
`,
    said: [
      "gateway.yaml:2:20: error: expected a whole number from 1 to 256 or auto, found 0 (at server.workers)",
    ],
  },
  {
    what: "an alias without anchor",
    yaml: `${listener}server: *nothing
`,
    said: ["gateway.yaml:2:9: error: the alias has no anchor before it (at server)"],
  },
  {
    what: "an unknown tag",
    yaml: `${listener}server: !x {}
`,
    said: ["gateway.yaml:2:9: error: not YAML: Unresolved tag: !x"],
  },
  {
    what: "an unclosed mapping",
    yaml: `${listener}server: { drain: 5s
`,
    said: [
      "gateway.yaml:3:1: error: not YAML: Flow map in block collection must be sufficiently indented and end with a }",
    ],
  },
  {
    what: "a tab and an unclosed list, one message each",
    yaml: `${listener}server:
	drain: 5s
x: [
`,
    said: [
      "gateway.yaml:3:1: error: not YAML: Tabs are not allowed as indentation; indent with spaces",
      "gateway.yaml:5:1: error: not YAML: Flow sequence in block collection must be sufficiently indented and end with a ]",
    ],
  },
  {
    what: "two documents",
    yaml: `${listener}---
a: 1
`,
    said: ["gateway.yaml:2:1: error: the file holds more than one YAML document; expected one"],
  },
  {
    what: "an unquoted substitution in a flow mapping",
    yaml: `${listener}server: { workers: \${N} }
`,
    said: ["gateway.yaml:2:21: error: inside { } and [ ] a value with a ${ in it needs quotes"],
  },
  {
    what: "an alias to what contains it",
    yaml: `${listener}services: &x [*x]
`,
    said: ["gateway.yaml:2:15: error: expected a mapping, found a list (at services[0])"],
  },
];

for (const { what, yaml, said } of mistakes) {
  test(`the loader says what is wrong with ${what}`, () => {
    const problems = workspace.problems(yaml);
    assert.deepEqual(problems, said);
    assert.equal(workspace.load(yaml).config, undefined);
  });
}
